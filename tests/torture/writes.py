"""The writing operations, each as something to prepare, to do, and to compare: a key's state before and after.

A state is the SHA-256 of an object's bytes, or None if there is none.
"""

import hashlib
import random

PLACE = "bucket"
SMALL, SHORT, LARGE, PART = 1000, 100_000, 1_300_000, 5 << 20
"""Bytes: within the sidecar, written in one, two stripes, and the least that a part may have which is not the last."""

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def state_of(data):
    return hashlib.sha256(data).hexdigest()


class Write:
    """One operation on one key.

    ``before`` and ``after`` are the states it takes the key from and to. ``prepare`` makes what it needs; ``perform``
    does it, returns the answer, and may be called again.
    """

    size = SMALL
    old_size = None

    def __init__(self, key):
        self.key = key
        self.path = f"/{PLACE}/{key}"
        choose = random.Random(f"{type(self).__name__}/{key}")
        self.data = choose.randbytes(self.size)
        self.old = None if self.old_size is None else choose.randbytes(self.old_size)
        self.before = None if self.old is None else state_of(self.old)
        self.after = state_of(self.data)

    def prepare(self, client):
        if self.old is not None:
            _must(client.request("PUT", self.path, self.old))

    def perform(self, client):
        return client.request("PUT", self.path, self.data)


class PutShort(Write):
    size = SHORT


class PutLarge(Write):
    size = LARGE


class OverwriteSmall(Write):
    old_size = SMALL


class OverwriteShort(Write):
    size, old_size = SHORT, SHORT


class OverwriteLarge(Write):
    size, old_size = LARGE, LARGE


class Delete(Write):
    old_size = LARGE

    def __init__(self, key):
        super().__init__(key)
        self.after = None

    def perform(self, client):
        return client.request("DELETE", self.path)


class DeleteSmall(Delete):
    old_size = SMALL


class Copy(Write):
    """A copy links the shards of its source."""

    size, old_size = LARGE, SMALL

    def prepare(self, client):
        super().prepare(client)
        _must(client.request("PUT", f"/{PLACE}/sources/{self.key}", self.data))

    def perform(self, client):
        return client.request("PUT", self.path, x_amz_copy_source=f"/{PLACE}/sources/{self.key}")


class UploadPart(Write):
    """A part, replacing an earlier one, which must then be there to complete the upload with."""

    size, old_size = LARGE, None

    def prepare(self, client):
        _must(self._begin(client))
        _must(self._put(client, b"an earlier part"))

    def perform(self, client):
        """Put the part; if that is acknowledged, complete the upload with it."""
        answer = self._put(client, self.data)
        if answer.code == "NoSuchUpload" and self.may_be_complete:
            begun = self._begin(client)
            answer = self._put(client, self.data) if begun.ok else begun
        if not answer.ok:
            return answer
        self.may_be_complete = True
        return _complete(client, self.path, self.upload, [answer.etag])

    def _begin(self, client):
        answer = client.request("POST", f"{self.path}?uploads")
        if answer.ok:
            self.upload, self.may_be_complete = answer.element("UploadId"), False
        return answer

    def _put(self, client, data):
        return client.request("PUT", f"{self.path}?partNumber=1&uploadId={self.upload}", data)


class Complete(Write):
    """The completion of an upload of two parts; a repeated one gets the same answer."""

    size, old_size = PART + SMALL, SMALL

    def prepare(self, client):
        super().prepare(client)
        self.upload = _must(client.request("POST", f"{self.path}?uploads")).element("UploadId")
        self.etags = [
            _must(client.request("PUT", f"{self.path}?partNumber={number}&uploadId={self.upload}", data)).etag
            for number, data in enumerate((self.data[:PART], self.data[PART:]), 1)
        ]

    def perform(self, client):
        return _complete(client, self.path, self.upload, self.etags)


OPERATIONS = {
    "put": Write,
    "put short": PutShort,
    "put large": PutLarge,
    "overwrite": OverwriteSmall,
    "overwrite short": OverwriteShort,
    "overwrite large": OverwriteLarge,
    "delete": DeleteSmall,
    "delete large": Delete,
    "copy": Copy,
    "upload part": UploadPart,
    "complete": Complete,
}


def _complete(client, path, upload, etags):
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in enumerate(etags, 1)
    )
    body = f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{parts}</CompleteMultipartUpload>'
    return client.request("POST", f"{path}?uploadId={upload}", body.encode())


def _must(answer):
    assert answer.ok, answer
    return answer
