"""The machine that the features of ``tests/model`` add their rules to: a server, the model beside it, and the world.

What is compared is what clients can see: the headers, bytes and documents of answers. ``compare`` looks at all of it.
"""

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

from s3ish.integrity.check import Check
from s3ish.integrity.garbage import GarbageJob
from s3ish.integrity.rebuild import rebuild
from tests.model.front import Front
from tests.model.play import rule
from tests.model.state import ARCHIVE, DAY_NS, HOUR_NS, Bucket, Held, client_key, read_iso
from tests.objects.support import counted, md5, referenced, run_jobs, sample, sealed, strays

BUCKETS = (
    "never",
    "never",
    "often",
    "locked",
    "locked",
)
KEYS = (
    "a",
    "b/ü",
    "c d",
    "e",
)
SIZES = (
    0,
    1,
    99,
    100,
    101,
    500,
    1000,
    1001,
    3456,
)
PICKS = range(10**6)
WAYS = (False, True)
ENCRYPTIONS = (
    "",
    "",
    "",
    "s3",
    "kms",
    "kms2",
    "c1",
    "c2",
)
HALF_DAY_NS = 12 * HOUR_NS
HOLDS = {None: None, True: "ON", False: "OFF"}
"""What an answer says of a legal hold."""


def has_versions(machine):
    """Whether there is a version."""
    return machine.pick(0) is not None


def has_uploads(machine):
    """Whether there is an upload."""
    return any(bucket.uploads for bucket in machine.model.values())


def has_both(machine):
    """Whether there is both."""
    return has_versions(machine) and has_uploads(machine)


class Machine:
    """A server and a dictionary that must agree. The bucket ``never`` never has versions, ``locked`` has locks."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="s3ish-model-"))
        self.loop = asyncio.new_event_loop()
        self.front = Front(self.folder)
        self.run(self.front.open())
        self.model = {name: Bucket() for name in ("never", "often", "locked")}
        self.seed = 0
        for name in ("never", "often"):
            assert not self.ask("PUT", name).code
        assert not self.ask("PUT", "locked", headers={"x-amz-bucket-object-lock-enabled": "true"}).code
        self.model["locked"].versioning, self.model["locked"].locks = "Enabled", True

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def ask(self, *arguments, **named):
        """Send a request; see ``Front.ask``."""
        return self.run(self.front.ask(*arguments, **named))

    @property
    def now(self):
        return self.front.clock.ns

    def later(self, half_days):
        """Return the noon or midnight so many half days from now, at most."""
        return (self.now // HALF_DAY_NS + half_days) * HALF_DAY_NS

    def fresh(self, size):
        self.seed += 1
        return sample(size, self.seed)

    def pick(self, pick):
        """Choose any version that there is, with its bucket and key; None if there is none."""
        there = [
            (name, key, held)
            for name, bucket in self.model.items()
            for key in sorted(bucket.keys)
            for held in bucket.keys[key]
        ]
        return there[pick % len(there)] if there else None

    def named(self, name, key, held, by_id):
        """Return the id by which a version is asked for, None for the newest; and the error where it is a marker."""
        if self.model[name].newest(key) is held and not by_id:
            return None, "NoSuchKey" if held.marker else ""
        return held.id, "MethodNotAllowed" if held.marker else ""

    @rule(
        name=BUCKETS,
        status=(
            "Enabled",
            "Suspended",
        ),
    )
    def set_versioning(self, name, status):
        bucket = self.model[name]
        if name == "never":
            return
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
        done = self.ask("PUT", name, body=body.encode(), versioning="")
        if bucket.locks and status == "Suspended":
            assert done.code == "InvalidBucketState"
            return
        assert not done.code
        bucket.versioning = status

    # --- what is there

    def finish(self):
        """Look at everything, also after a rebuild of the index."""
        self.lose_the_index()
        self.run(self.check_clean())

    def close(self):
        """Leave nothing behind."""
        self.run(self.front.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    async def check_clean(self):
        check = Check(self.front.store, repair=False, before_ns=self.now + DAY_NS)
        assert [finding async for found in check.rows() for finding in found] == []
        assert [finding async for finding in check.orphans()] == []

    @rule()
    def check_everything(self):
        """Every version and upload is there with all that belongs to it, and not a blob more."""
        self.run(self.compare())

    async def compare(self):
        for name, bucket in self.model.items():
            await self.compare_listings(name, bucket)
            for key, kept in bucket.keys.items():
                for held in kept:
                    await self.compare_version(name, key, held)
            await self.compare_uploads(name, bucket)
        store = self.front.store
        await GarbageJob(store).step()  # a copy onto itself reads the parts that it replaces: they are left to the job
        assert await sealed(store) == await referenced(store)
        assert await strays(store) == []
        kept, found = await counted(store)
        assert kept == found

    async def compare_listings(self, name, bucket):
        page = (await self.front.ask("GET", name, versions="")).xml
        found = [
            (
                item.findtext("Key"),
                item.findtext("VersionId"),
                item.findtext("IsLatest") == "true",
                item.tag == "DeleteMarker",
                *((item.findtext("ETag").strip('"'), int(item.findtext("Size"))) if item.tag == "Version" else ()),
                item.findtext("StorageClass"),
            )
            for item in page
            if item.tag in ("Version", "DeleteMarker")
        ]
        assert found == [
            (
                key,
                held.id,
                held is bucket.keys[key][0],
                held.marker,
                *(() if held.marker else (held.etag, len(held.data))),
                None if held.marker else held.said.storage,
            )
            for key in sorted(bucket.keys)
            for held in bucket.keys[key]
        ]
        page = (await self.front.ask("GET", name, list_type="2")).xml
        found = [(item.findtext("Key"), item.findtext("ETag").strip('"')) for item in page.iter("Contents")]
        assert found == [(key, bucket.current(key).etag) for key in sorted(bucket.keys) if bucket.current(key)]

    async def compare_version(self, name, key, held):
        """Look at a version by its id. What it was made with a moment ago is learned: its Last-Modified."""
        answer = await self.front.ask("HEAD", name, key, headers=client_key(held.said.enc), versionId=held.id)
        if held.marker:
            assert answer.code == "405"
            return
        assert answer.status == 200
        self.learn_lock(held, answer.headers)
        held.modified = held.modified or answer.headers["last-modified"]
        wanted = self.shown(name, held)
        assert {header: answer.headers.get(header) for header in wanted} == wanted
        meta = {header[11:]: value for header, value in answer.headers.items() if header.startswith("x-amz-meta-")}
        assert meta == held.said.meta
        got = await self.front.ask("GET", name, key, headers=client_key(held.said.enc), versionId=held.id)
        if held.away(self.now):
            assert got.code == "InvalidObjectState"
        else:
            assert (got.status, got.body) == (200, held.data)
            assert {header: got.headers.get(header) for header in wanted} == wanted
        await self.compare_more(name, key, held)

    def learn_lock(self, held, headers):
        """Take over to the millisecond until when the default of a bucket keeps a version that was made just now."""
        until = headers.get("x-amz-object-lock-retain-until-date")
        lock = held.said.lock
        if not held.modified and lock and until and lock.until % HALF_DAY_NS:
            assert 0 <= read_iso(until) - lock.until <= HOUR_NS
            lock.until = read_iso(until)

    def shown(self, name, held):
        """Return what the headers of an answer say of a version; None for those that must not be there."""
        said, lock = held.said, held.said.lock
        ends = held.restored if said.storage == ARCHIVE and self.now < held.restored else 0
        restore = f'ongoing-request="false", expiry-date="{http_date(ends)}"' if ends else None
        algorithm = {"s3": "AES256", "kms": "aws:kms", "kms2": "aws:kms"}.get(said.enc)
        return {
            "content-length": str(len(held.data)),
            "etag": f'"{held.etag}"',
            "last-modified": held.modified,
            "content-type": said.kind,
            "x-amz-version-id": held.id if self.model[name].versioning else None,
            "x-amz-storage-class": None if said.storage == "STANDARD" else said.storage,
            "x-amz-tagging-count": str(len(said.tags)) if said.tags else None,
            "x-amz-server-side-encryption": algorithm,
            "x-amz-server-side-encryption-aws-kms-key-id": self.front.arns.get(said.enc),
            "x-amz-server-side-encryption-customer-algorithm": "AES256" if said.enc in ("c1", "c2") else None,
            "x-amz-restore": restore,
            "x-amz-object-lock-mode": lock.mode or None if lock else None,
            "x-amz-object-lock-legal-hold": HOLDS[lock.hold] if lock else None,
        }

    async def compare_more(self, name, key, held):
        """Look at the tags, the retention and the annotations of a version."""

        async def get(**query):
            return await self.front.ask("GET", name, key, versionId=held.id, **query)

        tags = (await get(tagging="")).xml
        assert {tag.findtext("Key"): tag.findtext("Value") for tag in tags.iter("Tag")} == held.said.tags
        lock = held.said.lock
        if lock and lock.mode:
            told = (await get(retention="")).xml
            assert (told.findtext("Mode"), read_iso(told.findtext("RetainUntilDate"))) == (lock.mode, lock.until)
        listed = (await get(annotation="")).xml
        names = [entry.findtext("AnnotationName") for entry in listed.iter("AnnotationEntry")]
        assert names == sorted(held.notes)
        for note, text in held.notes.items():
            assert (await get(annotation="", annotationName=note)).body == text

    async def compare_uploads(self, name, bucket):
        page = (await self.front.ask("GET", name, uploads="")).xml
        found = {item.findtext("UploadId"): item.findtext("Key") for item in page.iter("Upload")}
        assert found == {upload.id: upload.key for upload in bucket.uploads.values()}
        for upload in bucket.uploads.values():
            parts = (await self.front.ask("GET", name, upload.key, uploadId=upload.id)).xml
            found = [
                (int(part.findtext("PartNumber")), int(part.findtext("Size")), part.findtext("ETag").strip('"'))
                for part in parts.iter("Part")
            ]
            assert found == [(number, len(data), etag) for number, (data, etag) in sorted(upload.parts.items())]

    def made(self, name, key, data, said, answer, *, notes=None, etag=None, source=None):
        """Note a version that an answer tells of, and look at it.

        Args:
            etag: what its entity tag must be; None if it only must not be the MD5 of encrypted data.
            source: what it is a copy of.
        """
        bucket = self.model[name]
        version_id = answer.headers.get("x-amz-version-id", "null")
        told = answer.headers.get("etag") or answer.xml.findtext("CopyObjectResult/ETag") or answer.xml.findtext("ETag")
        told = told.strip('"')
        assert etag in (None, told)
        assert said.enc in ("", "s3") or told != md5(data) or (source and told == source.etag)
        held = Held(version_id, data, told, said, notes=notes or {})
        bucket.add(key, held)
        self.run(self.compare_version(name, key, held))
        return held

    # --- the world

    @rule()
    def restart(self):
        self.run(self.front.close())
        self.run(self.front.open())

    @rule()
    def lose_the_index(self):
        self.run(self.compare())
        self.run(self.front.close())
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.front.world.index_path}{suffix}")
        store = self.front.world.open()
        found = self.run(rebuild(store))
        assert found["orphans"] == found["unknown"] == 0
        self.run(self.front.world.close())
        self.run(self.front.open())
        self.forget()
        self.run(self.compare())

    def forget(self):
        """Forget what stands in the index alone; features add to it."""

    @rule(half_days=(1, 1, 1, 4))
    def let_time_pass(self, half_days):
        self.front.clock.ns += half_days * HALF_DAY_NS

    @rule()
    def run_the_jobs(self):
        assert self.run(run_jobs(self.front.store, self.front.clock)) == 0
        self.check_everything()


def http_date(ns):
    """Return a moment as headers have it."""
    return formatdate(ns / 10**9, usegmt=True)
