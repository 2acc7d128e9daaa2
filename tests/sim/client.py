"""A client that works on a store and keeps the model of what it was told.

Each operation is a tuple: its name and its arguments. One that makes no sense in the state that the model is in (no
such object, no such upload) is not tried: ``can`` says so.
"""

import hashlib

from msgspec.structs import replace

from s3ish.model import Attributes, BlobRef, Link, Tag, Upload
from s3ish.objects import (
    annotations,
    appending,
    buckets,
    copy,
    delete,
    multipart,
    rename,
    rewrapping,
    snapshots,
    versions,
    worlds,
)
from s3ish.objects import get as read
from s3ish.objects import put as write
from s3ish.objects.conditions import UNCONDITIONAL, ReadConditions
from s3ish.objects.digests import Claims
from s3ish.objects.encodings import cipher
from tests.sim.machine import Inside
from tests.sim.model import OWNER, HeldBucket, HeldUpload, HeldVersion, copied

WORLD = "world "
"""What the names of worlds begin with where they stand beside those of snapshots."""
SIZES = {"empty": 0, "small": 10, "large": 150}
"""Of a small object the bytes stand in the sidecar, a large one has three stripes."""


class Bytes:
    """Bytes on their way in: those whose length is announced are stored in one, others in pieces."""

    expects_sha256 = False
    algorithm = None

    def __init__(self, data, *, announced):
        self.size, self._rest = len(data) if announced else None, data

    async def gather(self, count):
        pass

    async def read(self, limit):
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return piece

    def claims(self):
        return Claims()


class Client:
    """A client of a machine.

    Args:
        machine: what it works on.
        state: what the machine holds.
        count: how many different contents were made before.
        kept: what its snapshots hold, by their names, and its worlds, by theirs behind ``WORLD``.
    """

    def __init__(self, machine, state=None, count=0, kept=None):
        self.machine, self.state, self.count = machine, state if state is not None else {}, count
        self.kept = kept if kept is not None else {}
        self._begun = {}

    @property
    def store(self):
        return self.machine.store

    def can(self, operation):
        """Tell whether an operation makes sense now."""
        name, *arguments = operation
        return getattr(self, f"can_{name}", self._has_bucket)(*arguments)

    async def do(self, operation):
        """Do an operation and note its effect. Returns states between before and after that a crash may leave, too."""
        name, *arguments = operation
        return await getattr(self, name)(*arguments) or []

    def _has_bucket(self, name, *_):
        return name in self.state

    def _fresh(self, size):
        self.count += 1
        return hashlib.shake_128(b"content %d" % self.count).digest(SIZES[size]), str(self.count)

    async def wait(self):
        await self.machine.flush()

    async def work(self):
        await self.machine.work()

    def can_wait(self):
        return True

    can_work = can_wait

    # --- snapshots

    async def take_snapshot(self, name):
        await snapshots.take(self.store, name)
        self.kept[name] = copied(self.state)

    def can_take_snapshot(self, _):
        return True

    async def restore_snapshot(self, name):
        await snapshots.restore(self.store, name)
        self.state = copied(self.kept[name])

    async def remove_snapshot(self, name):
        await snapshots.remove(self.store, name)
        del self.kept[name]

    def can_restore_snapshot(self, name):
        return name in self.kept

    can_remove_snapshot = can_restore_snapshot

    # --- worlds

    async def fork(self, snapshot, name):
        """Have a world begin, or begin again, with a snapshot."""
        await worlds.fork(self.store, self.store, snapshot, name)
        self.kept[WORLD + name] = self._begun[name] = copied(self.kept[snapshot])

    def can_fork(self, snapshot, _):
        return snapshot in self.kept

    async def end_world(self, name):
        await worlds.remove(self.store, name)
        del self.kept[WORLD + name]

    def can_end_world(self, name):
        return WORLD + name in self.kept

    async def within(self, name, *operation):
        """Do an operation in a world."""
        inside = self._inside(name)
        await inside.do(operation)
        self.kept[WORLD + name], self.count = inside.state, inside.count

    def can_within(self, name, *operation):
        return self.can_end_world(name) and self._inside(name).can(operation)

    def _inside(self, name):
        state, begun = copied(self.kept[WORLD + name]), self._begun.get(name)
        return Client(Inside(self.machine, name), state, self.count, {snapshots.START: begun} if begun else {})

    # --- buckets

    async def make(self, name):
        bucket = await buckets.create_bucket(self.store, name, OWNER, "us-east-1")
        self.state[name] = HeldBucket(bucket.created_ns)

    def can_make(self, name):
        return name not in self.state

    async def drop(self, name):
        """Delete a bucket; its uploads are aborted first, one by one."""
        between = []
        while self.state[name].uploads:
            _, first = min((upload.key, upload_id) for upload_id, upload in self.state[name].uploads.items())
            del self.state[name].uploads[first]
            between.append(copied(self.state))
        await buckets.delete_bucket(self.store, name)
        del self.state[name]
        return between

    def can_drop(self, name):
        return name in self.state and not self.state[name].keys

    async def versioning(self, name, state):
        await buckets.set_versioning(self.store, name, enabled=state == "Enabled")
        self.state[name].versioning = state

    # --- objects

    async def put(self, name, key, size):
        data, note = self._fresh(size)
        attributes = Attributes(metadata={"n": note})
        version = await write.put_object(
            self.store, name, key, Bytes(data, announced=True), owner=OWNER, attributes=attributes
        )
        self.state[name].add(key, HeldVersion(version.id, data, note))

    async def remove(self, name, key):
        told = await delete.delete_object(self.store, name, key, owner=OWNER)
        bucket = self.state[name]
        assert told.made == bool(bucket.versioning)
        if told.made:
            bucket.add(key, HeldVersion(told.version_id, marker=True))
        elif key in bucket.keys:
            del bucket.keys[key]

    async def erase(self, name, key, number):
        version = self.state[name].keys[key][number]
        await delete.delete_object(self.store, name, key, version.id, owner=OWNER)
        self.state[name].drop(key, version.id)

    def can_erase(self, name, key, number):
        return name in self.state and len(self.state[name].keys.get(key, [])) > number

    async def tag(self, name, key, number):
        """Give a version another tag, whether it is the newest or lies below."""
        self.count += 1
        tag, version_id = str(self.count), self.state[name].keys[key][number].id

        def change(version):
            return replace(version, attributes=replace(version.attributes, tags=(Tag(tag, ""),)))

        await versions.amend_version(self.store, name, key, version_id, change)
        self.state[name].change(key, number, tag=tag)

    def can_tag(self, name, key, number):
        return self.can_erase(name, key, number) and not self.state[name].keys[key][number].marker

    async def rewrap(self, name, key, number):
        """Seal the data keys of a version again, of which no reader sees anything."""
        version_id, wrapping = self.state[name].keys[key][number].id, rewrapping.Rewrapping(self.store)

        def change(version):
            return wrapping.of(version, lambda _: Link(cipher.NAME, {}))

        await rewrapping.rewrap(self.store, name, key, version_id, change)

    def can_rewrap(self, name, key, number):
        return self.can_tag(name, key, number) and Link(cipher.NAME, {}) in self.machine.encoding

    async def annotate(self, name, key, size):
        """Give an object an annotation, in place of the one that it may have."""
        text = self._fresh(size)[0].hex().encode()
        version = await versions.get(self.store, name, key, None)
        await annotations.put_annotation(self.store, version, None, "n", Bytes(text, announced=True))
        self.state[name].change(key, 0, annotation=text)

    def can_annotate(self, name, key, _):
        return self.can_copy(name, key, key)

    async def bare(self, name, key):
        """Take the annotation from an object."""
        await annotations.delete_annotation(self.store, name, key, None, "n")
        self.state[name].change(key, 0, annotation=b"")

    def can_bare(self, name, key):
        return self.can_copy(name, key, key) and bool(self.state[name].newest(key).annotation)

    async def copy(self, name, source, key):
        self.count += 1
        held, note = self.state[name].newest(source), str(self.count)
        version = await versions.get(self.store, name, source, None)
        attributes = Attributes(metadata={"n": note})
        made = await copy.copy_object(self.store, version, name, key, owner=OWNER, attributes=attributes)
        self.state[name].add(key, HeldVersion(made.id, held.data, note, annotation=held.annotation))

    def can_copy(self, name, source, key):
        return name in self.state and self.state[name].newest(source) is not None

    async def rename(self, name, source, key):
        """Give an object another name; what stood under that is gone."""
        await rename.rename_object(
            self.store, name, source, key, of_source=ReadConditions(), of_destination=ReadConditions()
        )
        bucket = self.state[name]
        bucket.keys[key] = bucket.keys.pop(source)

    def can_rename(self, name, source, key):
        return source != key and self.can_append(name, source)

    async def append(self, name, key, size):
        data, _ = self._fresh(size)
        held = self.state[name].newest(key)
        base = await appending.find_base(self.store, name, key, len(held.data))
        await appending.append(self.store, base, Bytes(data, announced=True), conditions=UNCONDITIONAL)
        self.state[name].change(key, 0, data=held.data + data)

    def can_append(self, name, key, *_):
        return self.can_copy(name, key, key) and not self.state[name].versioning

    # --- uploads

    async def begin(self, name, key):
        self.count += 1
        note = str(self.count)
        draft = Upload(
            bucket=name,
            key=key,
            id="",
            created_ns=0,
            owner=OWNER,
            initiator=OWNER,
            blob=BlobRef("", 0, 0, "", 1, 0, 1, ()),
            attributes=Attributes(metadata={"n": note}),
        )
        upload = await multipart.create_upload(self.store, draft)
        self.state[name].uploads[upload.id] = HeldUpload(key, note)

    async def part(self, name, number, size):
        data, _ = self._fresh(size)
        upload_id, upload = self._upload(name)
        await multipart.put_part(self.store, name, upload.key, upload_id, number, Bytes(data, announced=False))
        upload.parts[number] = data

    def can_part(self, name, *_):
        return name in self.state and bool(self.state[name].uploads)

    async def part_copy(self, name, number, source):
        upload_id, upload = self._upload(name)
        version = await versions.get(self.store, name, source, None)
        await copy.copy_part(self.store, version, 0, version.size, name, upload.key, upload_id, number)
        upload.parts[number] = self.state[name].newest(source).data

    def can_part_copy(self, name, number, source):
        return self.can_part(name) and self.state[name].newest(source) is not None

    async def complete(self, name, numbers=None):
        """Make an object of all parts of the last upload, or of those that are named."""
        upload_id, upload = self._upload(name)
        numbers = sorted(numbers or upload.parts)
        chosen = [multipart.Chosen(number, hashlib.md5(upload.parts[number]).hexdigest(), {}) for number in numbers]
        version = await multipart.complete_upload(self.store, name, upload.key, upload_id, chosen)
        data = b"".join(upload.parts[number] for number in numbers)
        del self.state[name].uploads[upload_id]
        self.state[name].add(upload.key, HeldVersion(version.id, data, upload.note))

    def can_complete(self, name, numbers=None):
        return (
            self.can_part(name)
            and bool(self._upload(name)[1].parts)
            and set(numbers or ()) <= set(self._upload(name)[1].parts)
        )

    async def abort(self, name):
        upload_id, upload = self._upload(name)
        await multipart.abort_upload(self.store, name, upload.key, upload_id)
        del self.state[name].uploads[upload_id]

    can_abort = can_part

    def _upload(self, name):
        """Return the upload that was begun last."""
        upload_id = max(self.state[name].uploads)
        return upload_id, self.state[name].uploads[upload_id]

    # --- looking

    async def read(self, name, key):
        """Return the bytes of an object."""
        version = await versions.get(self.store, name, key, None)
        flow = await read.open_span(self.store, version, 0, version.size)
        return b"".join([bytes(piece) async for piece in read.as_flow(flow)])
