"""Rules of what makes objects: puts, copies, uploads in parts; with conditions, attributes, locks and encryption."""

from dataclasses import replace
from urllib.parse import quote

from tests.model.machine import (
    BUCKETS,
    ENCRYPTIONS,
    KEYS,
    PICKS,
    SIZES,
    WAYS,
    Machine,
    has_both,
    has_uploads,
    has_versions,
)
from tests.model.play import each, rule, subset
from tests.model.state import ARCHIVE, Lock, Said, Upload, client_key, source_key
from tests.objects.support import md5, multipart_etag

TAGS = (
    {},
    {},
    {"a": "1"},
    {"a": "2", "b": "x y"},
)
STORAGE = ("STANDARD", "STANDARD", "STANDARD", "STANDARD", "STANDARD_IA", ARCHIVE)
LOCKS = (
    None,
    None,
    ("GOVERNANCE", 4, False),
    ("COMPLIANCE", 4, False),
    ("COMPLIANCE", 6, True),
    "",
)
"""Of a new object: none, a mode with half days and whether there is a legal hold, or a legal hold alone."""
CONDITIONS = (
    "",
    "",
    "",
    "",
    "none",
    "match",
    "any",
    "other",
)
SAID = each(TAGS, STORAGE, LOCKS, ENCRYPTIONS)
FIRST = (
    ("never", "a", 500, {"a": "1"}, "STANDARD", None, ""),
    ("never", "b/ü", 1001, {}, "STANDARD", None, "c1"),
    ("never", "c d", 100, {}, ARCHIVE, None, "s3"),
    ("often", "a", 10, {}, "STANDARD", None, ""),
    ("often", "a", 1001, {"a": "1"}, "STANDARD", None, "kms"),
    ("often", "b/ü", 300, {}, ARCHIVE, None, ""),
    ("locked", "a", 101, {}, "STANDARD", ("GOVERNANCE", 4, False), ""),
    ("locked", "a", 1, {}, ARCHIVE, ("COMPLIANCE", 4, False), ""),
    ("locked", "b/ü", 1300, {"a": "1"}, "STANDARD", ("GOVERNANCE", 5, True), "s3"),
    ("locked", "c d", 20, {}, "STANDARD", None, "c2"),
)
"""Bucket, key, size and attributes of what is there in the beginning."""


def conditions(kind, current):
    """Return the headers of a conditional write, and the error that they lead to."""
    if kind == "none":
        return {"if-none-match": "*"}, "PreconditionFailed" if current else ""
    if kind == "":
        return {}, ""
    etag = {"any": "*", "other": '"other"'}.get(kind) or f'"{current.etag if current else "0"}"'
    if current is None:
        return {"if-match": etag}, "NoSuchKey"
    return {"if-match": etag}, "PreconditionFailed" if kind == "other" else ""


class Writing(Machine):
    """See the module."""

    def said(self, name, drawn):
        """Return what a request says of a new object. Metadata tell it from all others. Few ask for locks in vain."""
        tags, storage, lock, enc = drawn
        self.seed += 1
        if not self.model[name].locks and self.seed % 4:
            lock = None
        if lock is not None:
            mode, half_days, hold = lock or ("", 0, True)
            lock = Lock(mode, self.later(half_days) if mode else 0, hold or None)
        return Said({"n": str(self.seed)}, f"x/{self.seed}", dict(tags), lock, storage, enc)

    def locked(self, name, lock):
        """Return the lock that a new object gets."""
        default = self.model[name].by_default(self.now)
        if default and (lock is None or not lock.mode):
            return replace(default, hold=lock.hold if lock else None)
        return lock and replace(lock)

    def __init__(self):
        super().__init__()
        self.fill()

    def fill(self):
        """Begin with objects of all kinds, so that every rule has something to work on."""
        for name, key, size, *drawn in FIRST:
            self.put(name, key, size, drawn, "")

    @rule(name=BUCKETS, key=KEYS, size=SIZES, drawn=SAID, kind=CONDITIONS)
    def put(self, name, key, size, drawn, kind):
        bucket, data, said = self.model[name], self.fresh(size), self.said(name, drawn)
        given, refusal = conditions(kind, bucket.current(key))
        got = self.locked(name, said.lock)
        done = self.ask("PUT", name, key, data, said.headers() | given)
        if said.lock and not bucket.locks:
            assert done.code == "InvalidRequest"
        elif refusal:
            assert done.code == refusal
        else:
            etag = md5(data) if said.enc in ("", "s3") else None
            self.made(name, key, data, replace(said, lock=got), done, etag=etag)

    @rule(
        has_versions,
        pick=PICKS,
        name=BUCKETS,
        key=KEYS,
        drawn=SAID,
        kind=CONDITIONS,
        by_id=WAYS,
        onto_itself=WAYS,
        replaces=subset("metadata", "tagging", "annotation"),
        right_key=(
            True,
            True,
            True,
            False,
        ),
    )
    def copy(self, pick, name, key, drawn, kind, by_id, onto_itself, replaces, right_key):
        from_name, from_key, held = self.pick(pick)
        if onto_itself:
            name, key = from_name, from_key
        version_id, refusal = self.named(from_name, from_key, held, by_id)
        said = self.said(name, drawn)
        if "tagging" not in replaces:
            said.tags = {}
        key_of_source = held.said.enc if right_key else "c2" if held.said.enc == "c1" else "c1"
        given, unmet = conditions(kind, self.model[name].current(key))
        asked = said.headers() | given | self.directives(replaces) | source_key(key_of_source)
        asked["x-amz-copy-source"] = self.source(from_name, from_key, version_id)
        got = self.locked(name, said.lock)
        refusal = self.refusal_of_copy(
            name, key, (from_name, from_key, version_id), held, said, replaces, key_of_source
        )
        done = self.ask("PUT", name, key, headers=asked)
        if refusal or unmet:
            assert done.code == (refusal or unmet)
            return
        kept = held.said
        said = replace(
            said,
            meta=said.meta if "metadata" in replaces else dict(kept.meta),
            kind=said.kind if "metadata" in replaces else kept.kind,
            tags=said.tags if "tagging" in replaces else dict(kept.tags),
            lock=got,
        )
        notes = {} if "annotation" in replaces else dict(held.notes)
        etag = md5(held.data) if held.etag == md5(held.data) and said.enc in ("", "s3") else None
        self.made(name, key, held.data, said, done, notes=notes, etag=etag, source=held)

    def directives(self, replaces):
        """Return the headers that say what of a copy is not its source's."""
        words = {"metadata": "REPLACE", "tagging": "REPLACE", "annotation": "EXCLUDE"}
        names = {"annotation": "x-amz-object-annotation-directive"}
        return {names.get(what, f"x-amz-{what}-directive"): words[what] for what in sorted(replaces)}

    def source(self, name, key, version_id):
        """Return how a copy names its source."""
        return f"{name}/{quote(key)}" + (f"?versionId={version_id}" if version_id else "")

    def refusal_of_copy(self, name, key, place, held, said, replaces, key_of_source):
        """Return the error of a copy but for its conditions."""
        from_name, from_key, version_id = place
        if said.lock and not self.model[name].locks:
            return "InvalidRequest"
        if refusal := self.refusal_of_source(held, version_id, key_of_source):
            return refusal
        changes = {"metadata", "tagging"} & replaces or said.enc or said.storage not in ("STANDARD", held.said.storage)
        if (from_name, from_key, version_id) == (name, key, None) and not changes:
            return "InvalidRequest"
        under_key = said.enc in ("c1", "c2")
        return "InvalidRequest" if held.notes and under_key and "annotation" not in replaces else ""

    def refusal_of_source(self, held, version_id, key):
        """Return why a version cannot be a source."""
        if held.marker:
            return "InvalidRequest" if version_id else "NoSuchKey"
        return self.refusal_of_key(held, key) or ("InvalidObjectState" if held.away(self.now) else "")

    def refusal_of_key(self, held, key):
        """Return why a version cannot be read with the key of a client, or without one."""
        under, brought = (name if name in ("c1", "c2") else "" for name in (held.said.enc, key))
        if under == brought:
            return ""
        return "AccessDenied" if under and brought else "InvalidRequest"

    # --- in parts

    @rule(name=BUCKETS, key=KEYS, drawn=SAID)
    def create_upload(self, name, key, drawn):
        bucket, said = self.model[name], self.said(name, drawn)
        got = self.locked(name, said.lock)
        done = self.ask("POST", name, key, headers=said.headers(), uploads="")
        if said.lock and not bucket.locks:
            assert done.code == "InvalidRequest"
            return
        upload_id = done.xml.findtext("UploadId")
        bucket.uploads[upload_id] = Upload(upload_id, name, key, replace(said, lock=got))

    def pick_upload(self, pick):
        there = [upload for bucket in self.model.values() for upload in bucket.uploads.values()]
        return there[pick % len(there)]

    @rule(
        has_uploads,
        pick=PICKS,
        number=range(1, 3 + 1),
        size=SIZES,
        right_key=(
            True,
            True,
            False,
        ),
    )
    def put_part(self, pick, number, size, right_key):
        upload, data = self.pick_upload(pick), self.fresh(size)
        enc = upload.said.enc if right_key else "c2" if upload.said.enc == "c1" else "c1"
        query = {"uploadId": upload.id, "partNumber": number}
        done = self.ask("PUT", upload.bucket, upload.key, data, client_key(enc), **query)
        if not right_key:
            assert done.code == "InvalidRequest"
            return
        assert (done.etag == md5(data)) == (upload.said.enc in ("", "s3"))
        upload.parts[number] = data, done.etag

    @rule(has_both, pick=PICKS, other=PICKS, number=range(1, 3 + 1), by_id=WAYS, first=SIZES, last=SIZES, ranged=WAYS)
    def copy_part(self, pick, other, number, by_id, first, last, ranged):
        upload, (name, key, held) = self.pick_upload(pick), self.pick(other)
        version_id, _ = self.named(name, key, held, by_id)
        asked = client_key(upload.said.enc) | source_key(held.said.enc)
        asked["x-amz-copy-source"] = self.source(name, key, version_id)
        first, last = (first, last) if ranged else (0, len(held.data) - 1)
        if ranged:
            asked["x-amz-copy-source-range"] = f"bytes={first}-{last}"
        query = {"uploadId": upload.id, "partNumber": number}
        done = self.ask("PUT", upload.bucket, upload.key, headers=asked, **query)
        refusal = self.refusal_of_source(held, version_id, held.said.enc)
        if not refusal and ranged and not first <= last < len(held.data):
            refusal = "InvalidArgument"
        if refusal:
            assert done.code == refusal
            return
        data, etag = held.data[first : last + 1], done.xml.findtext("ETag").strip('"')
        assert (etag == md5(data)) == (upload.said.enc in ("", "s3"))
        upload.parts[number] = data, etag

    @rule(has_uploads, pick=PICKS, numbers=subset(1, 2, 3, least=1), kind=CONDITIONS)
    def complete(self, pick, numbers, kind):
        upload = self.pick_upload(pick)
        bucket = self.model[upload.bucket]
        chosen = sorted(number for number in numbers if number in upload.parts)
        given, refusal = conditions(kind, bucket.current(upload.key))
        wanted = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{upload.parts[number][1]}</ETag></Part>" for number in chosen
        )
        body = f"<CompleteMultipartUpload>{wanted}</CompleteMultipartUpload>".encode()
        done = self.ask("POST", upload.bucket, upload.key, body, given, uploadId=upload.id)
        parts = [upload.parts[number][0] for number in chosen]
        if not chosen:
            assert done.code == "MalformedXML"
        elif refusal:
            assert done.code == refusal
        else:
            data = b"".join(parts)
            etag = multipart_etag(parts) if upload.said.enc in ("", "s3") else None
            self.made(upload.bucket, upload.key, data, upload.said, done, etag=etag)
            del bucket.uploads[upload.id]

    @rule(has_uploads, pick=PICKS)
    def abort(self, pick):
        upload = self.pick_upload(pick)
        for code in ("", "NoSuchUpload"):
            assert self.ask("DELETE", upload.bucket, upload.key, uploadId=upload.id).code == code
        del self.model[upload.bucket].uploads[upload.id]
