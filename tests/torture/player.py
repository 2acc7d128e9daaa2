"""A client that does all operations at random on keys of its own, and compares every answer with what it knows."""

import base64
import hashlib
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import quote

from tests.torture.client import Client

KEYS = 12
SIZES = (0, 1, 700, 32 << 10, (32 << 10) + 1, 200_000, 1 << 20, 2_500_000)
PART_BYTES = 5 << 20
MOST_VERSIONS = 12


@dataclass
class Known:
    """A version: what it is called, a digest of its bytes, their number, and how many blobs it has."""

    id: str
    digest: str = ""
    size: int = 0
    blobs: int = 1
    marker: bool = False


@dataclass
class Uploading:
    """An upload in progress: its key, and the bytes and ETag of each part."""

    key: str
    parts: dict = field(default_factory=dict)


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


class Player:
    """One client in one bucket, and all that it knows of its keys: versions, the newest first."""

    def __init__(self, number, bucket, seed):
        self.bucket, self.prefix = bucket, f"{number}-"
        self.choose = random.Random(f"{seed}/{number}")
        self.keys = [f"{self.prefix}{name}" for name in self._names()]
        self.known = {key: [] for key in self.keys}
        self.uploads = {}
        self.wrong, self.counts = [], Counter()
        self.client = None

    def _names(self):
        return [f"{'deep/' * (n % 3)}k {n}é" for n in range(KEYS)]

    def play(self, endpoint, until):
        """Do operations until a moment."""
        self.client = Client(endpoint, 60)
        moves = [self.put] * 4 + [self.get] * 4 + [self.delete] * 3
        moves += [self.head, self.get_range, self.copy, self.put_if, self.delete_many, self.multipart, self.multipart]
        moves += [self.list, self.list_versions, self.get_version, self.delete_version, self.delete_version]
        try:
            while time.monotonic() < until and not self.wrong:
                move = self.choose.choice(moves)
                move(self.choose.choice(self.keys))
                self.counts[move.__name__] += 1
        except BaseException as error:  # a thread must not end in silence
            self.wrong.append(f"{self.bucket}/{self.prefix}: {error!r}")
            raise
        finally:
            self.client.close()

    def look(self, endpoint):
        """Compare all that can be listed."""
        self.client = Client(endpoint, 60)
        self.list()
        self.list_versions()
        self.client.close()

    # --- operations

    def put(self, key):
        data = self._data()
        self._written(key, self._ask("PUT", key, data, 200), data)

    def put_if(self, key):
        newest, data = self._newest(key), self._data()
        if self.choose.random() < 0.5:
            answer = self._ask("PUT", key, data, 412 if newest else 200, If_None_Match="*")
        else:
            answer = self._ask("PUT", key, data, 412 if newest else 404, If_Match='"nonsense"')
        if answer.status == 200:
            self._written(key, answer, data)

    def get(self, key):
        newest = self._newest(key)
        self._compare(key, newest, self._ask("GET", key, b"", 200 if newest else 404))

    def head(self, key):
        newest = self._newest(key)
        answer = self._ask("HEAD", key, b"", 200 if newest else 404)
        if newest and int(answer.headers["Content-Length"]) != newest.size:
            self._blame(f"HEAD {key}: {answer.headers['Content-Length']} bytes for {newest.size}")

    def get_range(self, key):
        newest = self._newest(key)
        if newest and newest.size:
            first = self.choose.randrange(newest.size)
            answer = self._ask("GET", key, b"", 206, Range=f"bytes={first}-")
            if len(answer.body) != newest.size - first:
                self._blame(f"GET {key} from {first}: {len(answer.body)} bytes of {newest.size}")

    def get_version(self, key):
        if self.known[key]:
            version = self.choose.choice(self.known[key])
            path = f"{key}?versionId={version.id}"
            answer = self._ask("GET", path, b"", 405 if version.marker else 200)
            self._compare(path, None if version.marker else version, answer)

    def copy(self, key):
        source = self.choose.choice(self.keys)
        newest = self._newest(source)
        if source != key:
            place = quote(f"/{self.bucket}/{source}")
            answer = self._ask("PUT", key, b"", 200 if newest else 404, x_amz_copy_source=place)
            if newest:
                self._add(key, Known(self._id(answer), newest.digest, newest.size, newest.blobs))

    def delete(self, key):
        self._deleted(key, self._ask("DELETE", key, b"", 204))

    def delete_many(self, _key):
        chosen = self.choose.sample(self.keys, 3)
        body = "".join(f"<Object><Key>{key}</Key></Object>" for key in chosen)
        body = f"<Delete>{body}</Delete>".encode()
        headers = {"x-amz-checksum-sha256": _sha256(body)}
        answer = self.client.request("POST", f"/{self.bucket}?delete", body, **headers)
        told = dict(re.findall(r"<Key>([^<]*)</Key>.*?(?:MarkerVersionId>([^<]*)<|</Deleted>)", answer.body.decode()))
        if not answer.ok or set(told) != set(chosen):
            self._blame(f"POST delete: {answer.status} {answer.body[:300]}")
        for key in chosen:
            self._forget(key, told.get(key) or "null")

    def delete_version(self, key):
        """Keep the number of versions from growing: for good, an old one the rather."""
        if self.known[key] and (len(self.known[key]) > MOST_VERSIONS or self.choose.random() < 0.5):
            version = self.known[key].pop(self.choose.randrange(len(self.known[key])))
            self._ask("DELETE", f"{key}?versionId={version.id}", b"", 204)

    def multipart(self, key):
        """Begin, go on with, complete or abort an upload."""
        if not self.uploads or (len(self.uploads) < 2 and self.choose.random() < 0.5):
            answer = self._ask("POST", f"{key}?uploads", b"", 200)
            self.uploads[answer.element("UploadId")] = Uploading(key)
            return
        upload_id, upload = self.choose.choice(list(self.uploads.items()))
        chance = self.choose.random()
        if chance < 0.6 or not upload.parts:
            number = self.choose.randrange(1, 3)
            data = self.choose.randbytes(PART_BYTES if number == 1 else self.choose.choice(SIZES[1:]))
            answer = self._ask("PUT", f"{upload.key}?partNumber={number}&uploadId={upload_id}", data, 200)
            upload.parts[number] = (data, answer.etag)
        elif chance < 0.7:
            del self.uploads[upload_id]
            self._ask("DELETE", f"{upload.key}?uploadId={upload_id}", b"", 204)
        else:
            del self.uploads[upload_id]
            parts = sorted(upload.parts.items())
            body = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, (_, etag) in parts)
            body = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode()
            answer = self._ask("POST", f"{upload.key}?uploadId={upload_id}", body, 200)
            data = b"".join(data for _, (data, _) in parts)
            self._add(upload.key, Known(self._id(answer), digest_of(data), len(data), 1 + len(parts)))

    def list(self, _key=None):
        """Page through all keys; each must be there, in order, with its size."""
        wanted = [(key, versions[0].size) for key, versions in sorted(self.known.items()) if self._newest(key)]
        found, token = [], ""
        while True:
            path = f"/{self.bucket}?list-type=2&prefix={self.prefix}&max-keys={self.choose.choice((3, 1000))}"
            text = self._page(f"{path}&continuation-token={quote(token, safe='')}" if token else path)
            found += re.findall(r"<Key>([^<]*)</Key>.*?<Size>(\d+)</Size>", text)
            if "<IsTruncated>true" not in text:
                break
            token = unescape(re.search(r"<NextContinuationToken>([^<]*)<", text)[1])
        if [(unescape(key), int(size)) for key, size in found] != wanted:
            self._blame(f"a listing shows {found} for {wanted}")

    def list_versions(self, _key=None):
        text = self._page(f"/{self.bucket}?versions&prefix={self.prefix}")
        found = re.findall(r"<(Version|DeleteMarker)><Key>([^<]*)</Key>.*?<VersionId>([^<]*)</VersionId>", text)
        wanted = [
            ("DeleteMarker" if version.marker else "Version", key, version.id)
            for key, versions in sorted(self.known.items())
            for version in versions
        ]
        wrong = len(found) < 1000 and [(kind, unescape(key), name) for kind, key, name in found] != wanted
        if wrong:
            self._blame(f"a listing shows the versions {found} for {wanted}")

    @property
    def blobs(self):
        """How many blobs the store must have for all that is known."""
        versions = sum(version.blobs for versions in self.known.values() for version in versions)
        return versions + sum(1 + len(upload.parts) for upload in self.uploads.values())

    # --- within

    def _data(self):
        return self.choose.randbytes(self.choose.choice(SIZES))

    def _ask(self, method, path, body, status, **headers):
        answer = self.client.request(method, f"/{self.bucket}/{path}", body, **headers)
        if answer.status != status:
            self._blame(f"{method} {path}: {answer.status} {answer.body[:300]} instead of {status}")
        return answer

    def _page(self, path):
        answer = self.client.request("GET", path)
        if not answer.ok:
            self._blame(f"GET {path}: {answer.status} {answer.body[:300]}")
        return answer.body.decode()

    def _blame(self, text):
        self.wrong.append(f"{self.bucket}: {text}")

    def _id(self, answer):
        return answer.headers.get("x-amz-version-id", "null")

    def _newest(self, key):
        newest = self.known[key][0] if self.known[key] else None
        return None if newest is None or newest.marker else newest

    def _compare(self, path, version, answer):
        if version and digest_of(answer.body) != version.digest:
            self._blame(f"GET {path}: {len(answer.body)} other bytes than the {version.size} that were put")

    def _written(self, key, answer, data):
        self._add(key, Known(self._id(answer), digest_of(data), len(data)))

    def _deleted(self, key, answer):
        self._forget(key, self._id(answer))

    def _forget(self, key, marker_id):
        if self.bucket == "plain":
            self.known[key] = []
        else:
            self._add(key, Known(marker_id, marker=True))

    def _add(self, key, version):
        self.known[key] = [version, *(self.known[key] if self.bucket == "versioned" else [])]


def _sha256(body):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
