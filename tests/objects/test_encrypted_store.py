"""What stands in the files of an encrypted store: no data and no key, in any file, of the volumes or of the index."""

import base64
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3ish.blob.protocol import Unwritable
from s3ish.errors import ConditionalRequestConflict, S3Error
from s3ish.index.protocol import Put
from s3ish.integrity.check import Check
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.rebuild import rebuild
from s3ish.integrity.unresolved import UnresolvedJob
from s3ish.model import Link, Upload
from s3ish.objects import appending, master_keys, multipart, named_keys, rename, rewrapping
from s3ish.objects.conditions import UNCONDITIONAL, ReadConditions
from s3ish.objects.encodings import cipher, customer, named
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.encodings.keyring import Keyring
from s3ish.tables import keys
from s3ish.tables.catalogue import INTENTS, PARTS, VERSIONS
from tests.objects.support import NO_BLOB, OWNER, Bytes, flip, head, make_bucket, outcome, put, read_all

MASTER, CUSTOMER = b"a master key, of thirty-two byte", b"a client's key of 32 bytes, this"
WORDS = b"words that nobody may read "
SIZES = {"empty": 0, "inline": 80, "short": 900, "long": 200_000}


class Encrypted:
    """A store with all kinds of keys, and all keys that were ever drawn."""

    def __init__(self, world):
        self.world, self.drawn = world, []
        draw = world.clock.random_bytes

        def noting(count):
            drawn = draw(count)
            if count == 32:
                self.drawn.append(drawn)
            return drawn

        world.clock.random_bytes = noting

    def open(self, *arguments, **others):
        store = self.store = self.world.open(*arguments, **others)
        store.keyring = Keyring([MASTER], store.clock.random_bytes)
        store.encodings = Encodings({cipher.NAME: cipher.codec_of(store.keyring)})
        return store

    async def encodings(self):
        """Return the encodings of requests that bring the client's key, and use the default key."""
        key = await named_keys.usable(self.store)
        draw = self.store.clock.random_bytes
        return self.store.encodings.having(
            {customer.NAME: customer.codec_of([CUSTOMER], draw), named.NAME: named.codec_of([key], draw)}
        )

    async def kinds(self):
        """Return the links of each kind."""
        link = named.link_to((await named_keys.usable(self.store)).id, '{"team":"billing"}')
        return {
            "master": (Link(cipher.NAME, {}),),
            "named": (link,),
            "two": (link, Link(cipher.NAME, {})),
            "customer": (customer.new_link(CUSTOMER, self.store.clock.random_bytes),),
        }

    async def fill(self):
        """Store objects of all kinds and sizes, and one in parts of each kind; return what each must say."""
        store, encodings, found = self.store, await self.encodings(), {}
        for kind, links in (await self.kinds()).items():
            for name, size in SIZES.items():
                data = (WORDS * (size // len(WORDS) + 1))[:size]
                await put(store, f"{kind}-{name}", data, encoding=links, encodings=encodings)
                found[f"{kind}-{name}"] = data
            found[f"{kind}-parts"] = await self.parts(f"{kind}-parts", links, encodings)
        return found

    async def parts(self, key, links, encodings):
        store, data = self.store, WORDS * 30
        draft = Upload(bucket="b", key=key, id="", created_ns=0, owner=OWNER, initiator=OWNER, blob=NO_BLOB)
        upload = await multipart.create_upload(store, draft, links, encodings)
        chosen = []
        for number in (1, 2):
            _, part = await multipart.put_part(store, "b", key, upload.id, number, Bytes(data), encodings)
            chosen.append(multipart.Chosen(number, part.etag, {}))
        await multipart.complete_upload(store, "b", key, upload.id, chosen)
        return data * 2

    async def check(self, found):
        """Read all objects."""
        encodings = await self.encodings()
        for key, data in found.items():
            version = await head(self.store, key)
            assert await read_all(self.store, version, encodings=encodings) == data, key
            if len(data) > 20:
                assert await read_all(self.store, version, 10, 20, encodings=encodings) == data[10:20]


@pytest.fixture
async def encrypted(world, small_parts):
    encrypted = Encrypted(world)
    await make_bucket(encrypted.open())
    return encrypted


def forms(secret):
    """Return a secret as it could stand in a file: as it is, in base64 at each offset, in hexadecimal."""
    yield secret
    yield secret.hex().encode()
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + secret)
        yield text[4 if offset else 0 : len(text) // 4 * 4 - 4]


async def test_no_file_shows_data_or_a_key(encrypted, tmp_path):
    found = await encrypted.fill()
    await named_keys.add_material(encrypted.store, named_keys.DEFAULT_ALIAS)
    assert await rewrapping.renew(encrypted.store) == 2 * (len(SIZES) + 1)
    await encrypted.check(found)
    await encrypted.world.close()
    files = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    text = b"\n".join(path.read_bytes() for path in files)
    assert any("index" in path.name for path in files)
    assert b"master-long" in text, "names are not encrypted: the test looks where things are"
    drawn = [key for key in encrypted.drawn if len(key) == 32]
    assert len(drawn) > 30
    for secret in (WORDS, MASTER, CUSTOMER, *drawn):
        for form in forms(secret):
            assert form not in text


async def test_sidecars_of_parts_that_cannot_be_written_are_written_later(encrypted, monkeypatch):
    store, links = encrypted.store, (await encrypted.kinds())["named"]
    data = await encrypted.parts("k", links, await encrypted.encodings())

    async def refuse(*_, **__):
        raise Unwritable("read-only")

    await named_keys.add_material(store, named_keys.DEFAULT_ALIAS)
    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", refuse)
        assert issubclass(await outcome(rewrapping.renew(store)), S3Error)
    await UnresolvedJob(store).step()
    assert await INTENTS.rows(store.index, b"", keys.END, 100) == []
    version = await head(store, "k")
    for part in version.parts:
        assert str(dict(part.encoding[0].parameters)["data-key"]).encode() in await store.blobs.read_sidecar(part.blob)
    await encrypted.check({"k": data})


async def test_parts_that_an_append_has_taken_over_stay_though_their_sidecars_are_still_to_be_written(
    encrypted, monkeypatch
):
    store, links, encodings = encrypted.store, (await encrypted.kinds())["named"], await encrypted.encodings()
    data = await encrypted.parts("k", links, encodings)

    async def refuse(*_, **__):
        raise Unwritable("read-only")

    await named_keys.add_material(store, named_keys.DEFAULT_ALIAS)
    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "amend", refuse)
        assert issubclass(await outcome(rewrapping.renew(store)), S3Error)
    base, encodings = await appending.find_base(store, "b", "k", len(data)), await encrypted.encodings()
    await appending.append(store, base, Bytes(b"more"), conditions=UNCONDITIONAL, encodings=encodings)
    await UnresolvedJob(store).step()
    await GarbageJob(store).step()
    assert await INTENTS.rows(store.index, b"", keys.END, 100) == []
    await encrypted.check({"k": data + b"more"})
    version = await head(store, "k")
    for part in version.parts:
        assert str(dict(part.encoding[0].parameters)["data-key"]).encode() in await store.blobs.read_sidecar(part.blob)


async def test_an_append_does_not_bring_back_how_data_keys_were_sealed(encrypted):
    store, data = encrypted.store, WORDS * 200
    await put(store, "k", data, encoding=(await encrypted.kinds())["named"], encodings=await encrypted.encodings())

    class Late(Bytes):
        async def read(self, limit):
            await named_keys.add_material(store, named_keys.DEFAULT_ALIAS)
            await rewrapping.renew(store)
            return await super().read(limit)

    base, encodings = await appending.find_base(store, "b", "k", len(data)), await encrypted.encodings()
    append = appending.append(store, base, Late(b"more"), conditions=UNCONDITIONAL, encodings=encodings)
    assert await outcome(append) is ConditionalRequestConflict
    assert await rewrapping.renew(store) == 0
    await encrypted.check({"k": data})


@pytest.mark.parametrize("moved", ["renamed", "completed"])
async def test_what_moves_while_all_is_sealed_again_does_not_need_the_key_before(encrypted, monkeypatch, moved):
    """It goes to where the pass has been already."""
    store, (link,) = encrypted.store, (await encrypted.kinds())["master"]
    for key in ("k", "z"):
        await put(store, key, WORDS, encoding=(link,))
    draft = Upload(bucket="b", key="a", id="", created_ns=0, owner=OWNER, initiator=OWNER, blob=NO_BLOB)
    upload = await multipart.create_upload(store, draft, (link,))
    _, part = await multipart.put_part(store, "b", "a", upload.id, 1, Bytes(WORDS))
    if moved == "renamed":
        await multipart.abort_upload(store, "b", "a", upload.id)
    original, begun = rewrapping._rewrap_one, []

    async def rewrap_one(store, version, change):
        if not begun and moved == "renamed":
            always = ReadConditions()
            await rename.rename_object(store, "b", "z", "a", of_source=always, of_destination=always)
        elif not begun:
            await multipart.complete_upload(store, "b", "a", upload.id, [multipart.Chosen(1, part.etag, {})])
        begun.append(version.key)
        return await original(store, version, change)

    monkeypatch.setattr(rewrapping, "_rewrap_one", rewrap_one)
    monkeypatch.setattr(rewrapping, "_VERSIONS_AT_ONCE", 1)
    for masters in ([b"another key, of thirty-two bytes", MASTER], [b"another key, of thirty-two bytes"]):
        store.keyring = Keyring(masters, store.clock.random_bytes)
        store.encodings = Encodings({cipher.NAME: cipher.codec_of(store.keyring)})
        if len(masters) == 2:
            await rewrapping.renew(store)
            assert await master_keys.forget_older(store) == 0
    for key in ("a", "k"):
        assert await read_all(store, await head(store, key)) == WORDS


async def test_sealing_again_ends_though_a_version_is_not_found_by_its_id(encrypted, monkeypatch):
    """A fault of the index, which a rebuild mends."""
    store, (link,) = encrypted.store, (await encrypted.kinds())["master"]
    version = await put(store, "k", WORDS, encoding=(link,))
    await store.index.commit([VERSIONS.put(replace(version, sequence=version.sequence - 1))])
    store.keyring = Keyring([b"another key, of thirty-two bytes", MASTER], store.clock.random_bytes)
    rewrap, calls = rewrapping.rewrap, []

    async def counted(*arguments):
        calls.append(arguments)
        assert len(calls) < 5
        return await rewrap(*arguments)

    monkeypatch.setattr(rewrapping, "rewrap", counted)
    assert await rewrapping.renew(store) == 1


@pytest.mark.parametrize("table", [VERSIONS, PARTS])
async def test_a_master_key_is_not_forgotten_while_rows_are_damaged_that_may_need_it(encrypted, table):
    store, (link,) = encrypted.store, (await encrypted.kinds())["master"]
    await master_keys.note(store)
    await put(store, "k", WORDS, encoding=(link,))
    draft = Upload(bucket="b", key="a", id="", created_ns=0, owner=OWNER, initiator=OWNER, blob=NO_BLOB)
    upload = await multipart.create_upload(store, draft, (link,))
    await multipart.put_part(store, "b", "a", upload.id, 1, Bytes(WORDS))
    if table is VERSIONS:
        await multipart.abort_upload(store, "b", "a", upload.id)
    ((key, value),) = await table.rows(store.index, b"", keys.END, 2)
    await store.index.commit([Put(table.name, key, value[:-1] + bytes([value[-1] ^ 1]))])
    store.keyring = Keyring([b"another key, of thirty-two bytes", MASTER], store.clock.random_bytes)
    if table is VERSIONS:
        with pytest.raises(ValueError, match="1 rows of versions are damaged"):
            await master_keys.forget_older(store)
    else:
        assert await master_keys.forget_older(store) == 1
    store.keyring = Keyring([b"another key, of thirty-two bytes"], store.clock.random_bytes)
    assert await master_keys.note(store), "the older one is missed"


async def test_all_kinds_outlive_the_index(encrypted, tmp_path):
    found = await encrypted.fill()
    await encrypted.world.close()
    store = encrypted.open(tmp_path / "another.db")
    await rebuild(store)
    await encrypted.check(found)


async def test_damaged_shards_are_healed_without_a_key(encrypted):
    found = await encrypted.fill()
    damaged = 0
    for key in found:
        version = await head(encrypted.store, key)
        for ref in [version.blob, *(part.blob for part in version.parts)]:
            if not ref.inline and ref.size > 100:
                flip(encrypted.world.files_of(ref)[0], 70)
                damaged += 1
    assert damaged > 8
    await encrypted.world.close()
    store = encrypted.world.open()  # it knows no encoding and no key
    findings = await look(store, repair=True)
    assert [it.state for it in findings] == ["repaired"] * damaged
    assert await look(store, repair=False) == []
    await encrypted.world.close()
    encrypted.open()
    await encrypted.check(found)


async def look(store, *, repair):
    check = Check(store, repair=repair, before_ns=store.clock.now_ns())
    return [it async for some in check.rows() for it in some]


async def test_sidecars_name_the_link_and_no_more_than_it_needs(encrypted):
    await encrypted.fill()
    wanted = {
        "master-long": {"master", "data-key"},
        "named-long": {"key", "context", "material", "data-key"},
        "customer-long": {"salt", "check", "data-key"},
    }
    for key, names in wanted.items():
        (link,) = (await head(encrypted.store, key)).encoding
        assert set(link.parameters) == names
        assert all(re.fullmatch(r"[ -~]+", text) for text in link.parameters.values())
