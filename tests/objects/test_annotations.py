"""Annotations lie beside a version, go with it, and outlive the index."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3ish.blob.protocol import Unwritable
from s3ish.errors import (
    AnnotationLimitExceeded,
    NoSuchAnnotation,
    PreconditionFailed,
    QuotaExceeded,
    ServiceUnavailable,
)
from s3ish.index.protocol import Unavailable
from s3ish.integrity.inspect import Inspector
from s3ish.integrity.rebuild import rebuild
from s3ish.model import Attributes, Tag
from s3ish.objects import annotations, appending, buckets, holdings, rename, versions
from s3ish.objects import get as read
from s3ish.objects.conditions import UNCONDITIONAL, ReadConditions
from s3ish.objects.quota_settings import set_of_bucket
from s3ish.objects.quotas import Limits
from s3ish.tables.catalogue import OF_BUCKET, VERSIONS
from tests.objects.encodings.toy import toy
from tests.objects.support import (
    Bytes,
    World,
    copy_to,
    get,
    head,
    make_bucket,
    outcome,
    put,
    referenced,
    remove,
    run_jobs,
    sealed,
    strays,
)


@pytest.fixture(params=[(), (toy(),)], ids=["plain", "encoded"])
async def world(tmp_path, request):
    world = World(tmp_path, encoding=request.param)
    yield world
    await world.close()


async def annotate(store, key, name, text, *, if_match=None, **source):
    version = await head(store, key)
    made = await annotations.put_annotation(store, version, None, name, Bytes(text, **source), if_match=if_match)
    return made[0]


async def text(store, key, name):
    async def attempt():
        version = await head(store, key)
        return await annotations.text_of(store, version, annotations.find(version, name), None)

    return await read.decided(attempt)


async def delete(store, key, name, **options):
    return await annotations.delete_annotation(store, "b", key, None, name, **options)


async def nothing_is_left_over(store, world):
    await run_jobs(store, world.clock)
    assert await sealed(store) == await referenced(store)
    assert await strays(store) == []


@pytest.mark.parametrize("size", [1, 50, 150, 3000])
async def test_a_text_is_kept_replaced_and_removed(store, world, size):
    before = await put(store, "k", b"data")
    await annotate(store, "k", "n", b"x" * size)
    await annotate(store, "k", "a", b"another")
    assert await text(store, "k", "n") == b"x" * size
    found = await head(store, "k")
    assert [one.name for one in found.annotations] == ["a", "n"]
    assert replace(found, annotations=(), revision=0) == before
    await annotate(store, "k", "n", b"y" * size)
    assert await text(store, "k", "n") == b"y" * size
    await nothing_is_left_over(store, world)
    await delete(store, "k", "n")
    assert await outcome(text(store, "k", "n")) is NoSuchAnnotation
    assert await text(store, "k", "a") == b"another"
    await nothing_is_left_over(store, world)
    await remove(store, "k")
    await nothing_is_left_over(store, world)


async def test_there_are_no_more_than_so_many(store, monkeypatch):
    monkeypatch.setattr(annotations, "MAX_ANNOTATIONS", 2)
    await put(store, "k")
    for name in ("a", "b", "a"):
        await annotate(store, "k", name, b"text")
    assert await outcome(annotate(store, "k", "c", b"text")) is AnnotationLimitExceeded
    await delete(store, "k", "a")
    await annotate(store, "k", "c", b"text")


async def test_none_is_lost_when_several_are_put_at_once(world, store):
    other = world.open()
    await put(store, "k")
    names = [f"n{number}" for number in range(12)]
    await asyncio.gather(*(annotate((store, other)[at % 2], "k", name, name.encode()) for at, name in enumerate(names)))
    assert {one.name for one in (await head(store, "k")).annotations} == set(names)
    for name in names:
        assert await text(store, "k", name) == name.encode()
    await nothing_is_left_over(store, world)


async def test_an_object_that_is_another_one_by_then(store, world):
    etag = (await put(store, "k", b"one")).etag
    version = await head(store, "k")
    await put(store, "k", b"two")
    put_late = annotations.put_annotation(store, version, None, "n", Bytes(b"text"), if_match=f'"{etag}"')
    assert await outcome(put_late) is PreconditionFailed
    assert await outcome(delete(store, "k", "n", if_match=f'"{etag}"')) is PreconditionFailed
    await nothing_is_left_over(store, world)


async def test_a_reader_that_comes_too_late_looks_again(store):
    await put(store, "k")
    before = await annotate(store, "k", "n", b"x" * 3000)
    await annotate(store, "k", "n", b"y" * 3000)
    with pytest.raises(read.Replaced):
        await annotations.text_of(store, before, annotations.find(before, "n"), None)


async def test_they_go_where_the_object_goes(store, world):
    await put(store, "k", b"data" * 500)
    for name, size in (("a", 10), ("b", 3000)):
        await annotate(store, "k", name, name.encode() * size)
    await copy_to(store, await head(store, "k"), "copy")
    assert (await copy_to(store, await head(store, "k"), "bare", annotated=False)).annotations == ()
    none = ReadConditions()
    await rename.rename_object(store, "b", "k", "renamed", of_source=none, of_destination=none)
    for key in ("copy", "renamed"):
        assert (await text(store, key, "a"), await text(store, key, "b")) == (b"a" * 10, b"b" * 3000)
    await nothing_is_left_over(store, world)


async def test_a_copy_under_another_encoding_has_them_under_it_too(tmp_path):
    world = World(tmp_path, encoding=(toy(1),))
    store = world.open()
    await make_bucket(store)
    await put(store, "k", b"data")
    await annotate(store, "k", "n", b"text" * 100)
    copied = await copy_to(store, await head(store, "k"), "c", encoding=(toy(2),))
    assert [one.part.encoding[0].parameters["add"] for one in copied.annotations] == ["2"]
    assert await text(store, "c", "n") == b"text" * 100
    plain = await copy_to(store, await head(store, "k"), "p", encoding=())
    assert plain.annotations[0].part.encoding == ()
    assert await text(store, "p", "n") == b"text" * 100
    await world.close()


async def test_their_bytes_count_and_quotas_hold_them(store):
    async def held():
        return (await holdings.held_by(store, OF_BUCKET, "b")).bytes

    await set_of_bucket(store, "b", Limits(bytes=1000))
    await put(store, "k", b"x" * 500)
    await annotate(store, "k", "n", b"y" * 300)
    assert await held() == 800
    for sized in (True, False):
        assert await outcome(annotate(store, "k", "m", b"z" * 201, sized=sized)) is QuotaExceeded
    assert await outcome(put(store, "other", b"x" * 201)) is QuotaExceeded
    await annotate(store, "k", "n", b"y" * 100)
    await annotate(store, "k", "m", b"z" * 200)
    assert await held() == 800
    await delete(store, "k", "m")
    assert await held() == 600
    none = ReadConditions()
    await rename.rename_object(store, "b", "k", "r", of_source=none, of_destination=none)
    base = await appending.find_base(store, "b", "r", 500)
    await appending.append(store, base, Bytes(b"x" * 100), conditions=UNCONDITIONAL)
    assert await held() == 700
    await remove(store, "r")
    assert await held() == 0


async def test_an_index_that_is_built_anew_has_them(store, world):
    await put(store, "k", b"data" * 500)
    for name, size in (("a", 10), ("b", 3000)):
        await annotate(store, "k", name, name.encode() * size)
    await delete(store, "k", "a")
    await versions.amend_version(
        store, "b", "k", None, lambda it: replace(it, attributes=Attributes(tags=(Tag("t", ""),)))
    )
    anew = world.open(Path(world.root) / "anew.db")
    assert (await rebuild(anew))["orphans"] == 0
    assert await head(anew, "k") == await head(store, "k")
    assert await text(anew, "k", "b") == b"b" * 3000
    assert await get(anew, "k") == b"data" * 500


async def test_a_check_repairs_them(store, world):
    await put(store, "k")
    await annotate(store, "k", "n", b"text" * 500)
    named = await VERSIONS.named(store.index, (await store.newest("b", "k"))[0])
    assert [item.name.rpartition(" ")[2] for item in named] == ["null", "n"]
    Path(world.files_of(named[1].ref)[0]).unlink()
    inspector = Inspector(store, repair=True)
    assert (await inspector.look(named[1])).problems
    assert await inspector.look(named[1]) is None
    assert await text(store, "k", "n") == b"text" * 500


async def test_a_bucket_that_changes_meanwhile_refuses_no_annotation(store, world, monkeypatch):
    await put(store, "k", b"data")
    find, changes = store.bucket, []

    async def found(name):
        held = await find(name)
        if changes:
            document = changes.pop()
            with monkeypatch.context() as inner:
                inner.setattr(store, "bucket", find)
                await buckets.change_bucket(store, "b", lambda it: replace(it, documents={"tagging": document}))
        return held

    monkeypatch.setattr(store, "bucket", found)
    for step in (lambda: annotate(store, "k", "n", b"text"), lambda: delete(store, "k", "n")):
        changes += ["<a/>", "<b/>"]
        before = store.index.commits
        await step()
        assert changes == []
        assert store.index.commits - before < 10
    assert (await head(store, "k")).annotations == ()
    await nothing_is_left_over(store, world)


async def test_a_text_stays_where_it_is_not_known_whether_it_was_put(store, world, monkeypatch):
    """The row names it, and the sidecar of the object could not be written; then the index gave no answer."""

    async def refuse(*_, **__):
        raise Unwritable("read-only")

    commit = store.index.commit

    async def commits_and_fails(*arguments):
        await commit(*arguments)
        raise Unavailable("the drive does not answer")

    await put(store, "k", b"data")
    await annotate(store, "k", "n", b"before" * 100)
    for place, name, failure in ((store.blobs, "amend", refuse), (store.index, "commit", commits_and_fails)):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, failure)
            assert await outcome(annotate(store, "k", "n", f"by {name} ".encode() * 100)) is ServiceUnavailable
        await run_jobs(store, world.clock)
        assert await text(store, "k", "n") == f"by {name} ".encode() * 100
        await nothing_is_left_over(store, world)
