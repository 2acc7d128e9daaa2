"""The checks: what a client must be able to do with the server, in the order in which they run.

Each is a function of a client and its place; its docstring is the title of its row. It returns a word on what was
seen and raises ``Failed`` where the server did not do what AWS does. Contents are compared by SHA-256. No check knows
which client it has.
"""

import base64
import hashlib
import random
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from compat.client import Client, Described, NotOffered
from compat.documents import Document, documents
from compat.traffic import Traffic

KIB, MIB = 1 << 10, 1 << 20
LARGE_BYTES = 100 * MIB
MEDIUM_BYTES = MIB + 17
SMALL_SIZES = (0, 1, 11, 70 * KIB)
MANY_KEYS = 3000
HTTP_SECONDS = 60

ODD_NAMES = (
    "plain.txt",
    "with space.txt",
    "plus+plus.txt",
    "percent%20%41.txt",
    "a&b=c;d,e'f(g)!@$.txt",
    "tilde~under_score-dash.txt",
    "hash#and-colon:.txt",
    "umlaut-äöü-Straße.txt",
    "日本語/ファイル.txt",
    "deep/er/and/deep er/still.bin",
)
"""Names in which clients and servers are known to disagree about escaping."""


class Failed(AssertionError):
    """The server did not do what the client expects of S3."""


@dataclass
class Place:
    """Where a client works: its bucket, a scratch folder and the server's count of requests."""

    bucket: str
    folder: Path
    traffic: Traffic
    _made: dict[str, Path] = field(default_factory=dict)

    def file(self, name: str, size: int) -> Path:
        """Return a file of ``size`` bytes that depend on its name alone."""
        path = self.folder / "made" / name
        if name not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(name).randbytes(size))
            self._made[name] = path
        return path

    def scratch(self, name: str) -> Path:
        """Return the path of a file that does not exist yet."""
        path = self.folder / "scratch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its path."""
    return {path.relative_to(folder).as_posix(): digest(path) for path in folder.rglob("*") if path.is_file()}


def expect(ok: bool, text: str) -> None:
    """Fail with a text unless it is so."""
    if not ok:
        raise Failed(text)


def expect_same(found: Iterable[str], wanted: Iterable[str], what: str) -> None:
    """Fail unless two collections hold the same, and say where they differ."""
    got, want = sorted(found), sorted(wanted)
    if got != want:
        missing, extra = sorted(set(want) - set(got))[:5], sorted(set(got) - set(want))[:5]
        raise Failed(f"{what}: {len(got)} instead of {len(want)}; missing {missing}, not expected {extra}")


def expect_trees(found: Path, wanted: Path, what: str) -> None:
    """Fail unless two folders hold the same files with the same contents."""
    expect_same(
        (f"{name} {sha}" for name, sha in tree(found).items()),
        (f"{name} {sha}" for name, sha in tree(wanted).items()),
        what,
    )


def expect_object(client: Client, place: Place, key: str, source: Path) -> None:
    """Fail unless an object has the contents of a file."""
    target = place.scratch("fetched")
    client.get(place.bucket, key, target)
    got, want = target.stat().st_size, source.stat().st_size
    expect(digest(target) == digest(source), f"{key}: other contents came back ({got} bytes of {want})")
    target.unlink()


def buckets(client: Client, place: Place) -> str:
    """Create a bucket, list buckets."""
    client.create_bucket(place.bucket)
    expect(place.bucket in client.buckets(), "the new bucket is not listed")
    return ""


def small(client: Client, place: Place) -> str:
    """Small objects, also empty and with odd names."""
    for size in SMALL_SIZES:
        source = place.file(f"small-{size}", size)
        client.put(place.bucket, f"small/{size}", source)
        expect_object(client, place, f"small/{size}", source)
    for name in ODD_NAMES:
        source = place.file(f"odd/{name}", 100)
        client.put(place.bucket, f"small/{name}", source)
        expect_object(client, place, f"small/{name}", source)
    return f"{len(SMALL_SIZES) + len(ODD_NAMES)} objects"


def upload(client: Client, place: Place) -> str:
    """Upload 100 MiB in parts."""
    client.put_large(place.bucket, "large", place.file("large", LARGE_BYTES))
    seen = place.traffic.seen()
    if seen is None:
        return "the server does not tell how"
    parts = seen["UploadPart"]
    expect(parts > 1 and seen["CompleteMultipartUpload"] >= 1, f"the server saw no parts but {dict(seen)}")
    return f"{parts} parts"


def download(client: Client, place: Place) -> str:
    """Download 100 MiB."""
    expect_object(client, place, "large", place.file("large", LARGE_BYTES))
    seen = place.traffic.seen()
    return f"{seen['GetObject']} requests" if seen else ""


def listing(client: Client, place: Place) -> str:
    """List 3,000 keys."""
    folder = place.folder / "many"
    names = [f"{number % 30:02}/{number:05}.txt" for number in range(MANY_KEYS)]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    client.put_tree(folder, place.bucket, "many/")
    expect_same(client.keys(place.bucket, "many/"), (f"many/{name}" for name in names), "keys")
    expect_same(
        client.keys(place.bucket, "many/07/"),
        (f"many/{name}" for name in names if name.startswith("07/")),
        "keys of one prefix",
    )
    return f"{MANY_KEYS} keys"


def level(client: Client, place: Place) -> str:
    """List one level of folders."""
    expect_same(client.level(place.bucket, "many/"), (f"many/{number:02}/" for number in range(30)), "folders")
    expect(len(client.level(place.bucket, "many/11/")) == MANY_KEYS // 30, "a folder does not show its files")
    return ""


def _local_tree(place: Place) -> Path:
    folder = place.folder / "tree"
    for name in (*ODD_NAMES, *(f"many/{number}.bin" for number in range(30))):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(1000))
    (folder / "twelve.bin").write_bytes(random.Random("twelve").randbytes(12 * MIB))
    return folder


def sync_up(client: Client, place: Place) -> str:
    """Sync a folder up, and again after changes."""
    folder = _local_tree(place)
    client.sync_up(folder, place.bucket, "sync/")
    expect_same(client.keys(place.bucket, "sync/"), (f"sync/{name}" for name in tree(folder)), "keys")
    (folder / "many/3.bin").write_bytes(b"changed")
    (folder / "new file").write_bytes(b"new")
    (folder / "many/4.bin").unlink()
    client.sync_up(folder, place.bucket, "sync/")
    expect_same(client.keys(place.bucket, "sync/"), (f"sync/{name}" for name in tree(folder)), "keys after changes")
    for name in ("many/3.bin", "new file", "twelve.bin", *ODD_NAMES[:6]):
        expect_object(client, place, f"sync/{name}", folder / name)
    return f"{len(tree(folder))} files"


def sync_down(client: Client, place: Place) -> str:
    """Sync a folder down, and again after changes."""
    folder, target = place.folder / "tree", place.folder / "down"
    target.mkdir()
    client.sync_down(place.bucket, "sync/", target)
    expect_trees(target, folder, "files")
    (target / "many/5.bin").unlink()
    (target / "many/6.bin").write_bytes(b"changed here")
    (target / "not there.txt").write_bytes(b"only here")
    client.sync_down(place.bucket, "sync/", target)
    expect_trees(target, folder, "files after changes")
    return f"{len(tree(folder))} files"


def copy(client: Client, place: Place) -> str:
    """Copy 100 MiB and a small object within the server."""
    client.copy(place.bucket, "large", "copied/large")
    client.copy(place.bucket, "small/11", "copied/a b+c%20ü")
    seen = place.traffic.seen()
    if seen is not None:
        carried = sum(seen[name] for name in ("GetObject", "PutObject", "UploadPart"))
        expect(not carried, f"the client carried the bytes itself: {dict(seen)}")
    expect_object(client, place, "copied/large", place.file("large", LARGE_BYTES))
    expect_object(client, place, "copied/a b+c%20ü", place.file("small-11", 11))
    return f"{seen['CopyObject']} CopyObject, {seen['UploadPartCopy']} UploadPartCopy" if seen else ""


def content_type(client: Client, place: Place) -> str:
    """Content type."""
    wanted = Described("text/x-compat", {})
    client.put_described(place.bucket, "typed", place.file("small-11", 11), wanted)
    found = client.describe(place.bucket, "typed")
    expect(found.content_type == wanted.content_type, f"content type {found.content_type}")
    return ""


def metadata(client: Client, place: Place) -> str:
    """Metadata of the user's own."""
    wanted = Described("text/x-compat", {"color": "deep blue", "batch-number": "17"})
    source = place.file("small-11", 11)
    client.put_described(place.bucket, "described", source, wanted)
    found = client.describe(place.bucket, "described")
    kept = {name.lower(): value for name, value in found.metadata.items()}
    expect(wanted.metadata.items() <= kept.items(), f"metadata {kept}")
    expect_object(client, place, "described", source)
    return ""


def ranges(client: Client, place: Place) -> str:
    """Read ranges."""
    source = place.file("medium", MEDIUM_BYTES)
    data = source.read_bytes()
    client.put(place.bucket, "medium", source)
    for start, length in ((0, 1), (12345, 67890), (MIB - 5, 10), (MEDIUM_BYTES - 100, 100)):
        found = client.get_range(place.bucket, "medium", start, length)
        expect(found == data[start : start + length], f"bytes {start} + {length}: {len(found)} other bytes came back")
    return ""


def _http(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, method=method)
    if body is not None:
        request.add_header("Content-Type", "")  # urllib would name one that the URL does not sign
    try:
        with urllib.request.urlopen(request, timeout=HTTP_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _spoiled(url: str) -> str:
    """Return the URL with another signature."""
    head, name, tail = url.partition("Signature=")
    expect(bool(name), f"the URL has no signature: {url}")
    return f"{head}{name}{'1' if tail[0] == '0' else '0'}{tail[1:]}"


def presigned_get(client: Client, place: Place) -> str:
    """Presigned download."""
    source = place.file("medium", MEDIUM_BYTES)
    client.put(place.bucket, "signed/a b+c.bin", source)
    url = client.presign(place.bucket, "signed/a b+c.bin", "GET")
    status, data = _http("GET", url)
    expect(status == 200, f"status {status}: {data[:300]!r}")
    expect(hashlib.sha256(data).hexdigest() == digest(source), "other contents came back")
    status, _ = _http("GET", _spoiled(url))
    expect(status == 403, f"a spoiled signature got status {status}")
    return ""


def presigned_put(client: Client, place: Place) -> str:
    """Presigned upload."""
    source = place.file("medium", MEDIUM_BYTES)
    url = client.presign(place.bucket, "signed/up", "PUT")
    status, data = _http("PUT", _spoiled(url), b"spoiled")
    expect(status == 403, f"a spoiled signature got status {status}")
    status, data = _http("PUT", url, source.read_bytes())
    expect(status == 200, f"status {status}: {data[:300]!r}")
    expect_object(client, place, "signed/up", source)
    return ""


def append(client: Client, place: Place) -> str:
    """Append to an object."""
    pieces = [place.file(f"piece-{size}", size) for size in (70 * KIB, 11, MIB + 17)]
    offset = 0
    for piece in pieces:
        client.append(place.bucket, "grown/log", piece, offset)
        offset += piece.stat().st_size
    whole = place.scratch("whole")
    whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    expect_object(client, place, "grown/log", whole)
    try:
        client.append(place.bucket, "grown/log", pieces[1], 1)
    except NotOffered:
        raise
    except Exception as error:
        expect("InvalidWriteOffset" in str(error), f"an append in the middle is refused with {error}")
    else:
        expect(False, "an append in the middle is taken")
    return ""


def rename(client: Client, place: Place) -> str:
    """Rename an object."""
    source = place.file("medium", MEDIUM_BYTES)
    client.put(place.bucket, "names/old a+b%20ü", source)
    client.rename(place.bucket, "names/old a+b%20ü", "names/new")
    expect_same(client.keys(place.bucket, "names/"), ["names/new"], "keys")
    expect_object(client, place, "names/new", source)
    return ""


def archive(client: Client, place: Place) -> str:
    """Store an object in an archive class, and restore it."""
    source = place.file("small-11", 11)
    client.put_archived(place.bucket, "archived", source)
    try:
        client.get(place.bucket, "archived", place.scratch("archived"))
    except Exception as error:
        expect("InvalidObjectState" in str(error) or "GLACIER" in str(error), f"it is refused with {error}")
    else:
        expect(False, "it can be read before it is restored")
    said = client.restore(place.bucket, "archived", 2)
    expect(said.startswith('ongoing-request="false", expiry-date='), f"the restore is {said}")
    expect_object(client, place, "archived", source)
    return ""


def select(client: Client, place: Place) -> str:
    """Query an object."""
    path = place.scratch("table.csv")
    path.write_text("id,name\n" + "".join(f'{number},"name, {number}"\n' for number in range(20_000)))
    client.put(place.bucket, "table.csv", path)
    found = client.select(place.bucket, "table.csv", "SELECT s.name FROM S3Object s WHERE s.id >= 19998")
    expect(found == b'"name, 19998"\n"name, 19999"\n', f"the records are {found[:200]!r}")
    whole = client.select(place.bucket, "table.csv", "SELECT * FROM S3Object")
    expect(whole == path.read_bytes().partition(b"\n")[2], f"all records have {len(whole)} bytes")
    return ""


def tags(client: Client, place: Place) -> str:
    """Tag an object, and change its tags."""
    client.put(place.bucket, "tags/a b+c%20ü", place.file("small-11", 11))
    for wanted in ({"kind": "deep blue", "place/of": "a+b:c@d"}, {"kind": "äöü ß"}):
        client.tag(place.bucket, "tags/a b+c%20ü", wanted)
        found = client.tags(place.bucket, "tags/a b+c%20ü")
        expect(found == wanted, f"the tags are {found}")
    return ""


def checksums(client: Client, place: Place) -> str:
    """Upload with a checksum of each algorithm that the client computes."""
    source = place.file("medium", MEDIUM_BYTES)
    data = source.read_bytes()
    for algorithm in client.checksums():
        key = f"checked/{algorithm}"
        client.put_checked(place.bucket, key, source, algorithm)
        crc = zlib.crc32(data).to_bytes(4, "big")
        wanted = crc if algorithm == "CRC32" else hashlib.new(algorithm, data, usedforsecurity=False).digest()
        found = client.checksum(place.bucket, key, algorithm)
        expect(found == base64.b64encode(wanted).decode(), f"{algorithm} is {found}")
        expect_object(client, place, key, source)
    return ", ".join(client.checksums())


def versions(client: Client, place: Place) -> str:
    """List versions, read an old one, remove one."""
    key, bucket = "kept/a b+c%20ü", f"{place.bucket}-versions"
    client.versions(place.bucket, key)  # finds none, but ends here a client that has no such call
    client.create_bucket(bucket)
    client.enable_versioning(bucket)
    sources = [place.file(f"version-{size}", size) for size in (11, 12)]
    for source in sources:
        client.put(bucket, key, source)
    newest, oldest = client.versions(bucket, key)
    target = place.scratch("version")
    client.get_version(bucket, key, oldest, target)
    expect(digest(target) == digest(sources[0]), "the old version has other contents")
    client.delete_version(bucket, key, newest)
    expect(client.versions(bucket, key) == [oldest], "the version is left")
    client.get(bucket, key, target)
    expect(digest(target) == digest(sources[0]), "the old version is not the newest now")
    client.delete_version(bucket, key, oldest)
    client.delete_bucket(bucket)
    return ""


def annotations(client: Client, place: Place) -> str:
    """Annotate an object."""
    client.put(place.bucket, "annotated", place.file("small-11", 11))
    texts = {"labels": b'{"cat": 0.9}', "long/ä b": "text ü\n".encode() * 10_000}
    for name, text in texts.items():
        path = place.scratch("text")
        path.write_bytes(text)
        client.annotate(place.bucket, "annotated", name, path)
    found = client.annotations(place.bucket, "annotated")
    expect(found == texts, f"there are {sorted(found)}")
    return ""


def settings(client: Client, place: Place) -> str:
    """Put, read back, list and remove each configuration document."""
    bucket, target = f"{place.bucket}-settings", f"{place.bucket}-target"
    tried = documents(bucket, target)
    client.remove_document(place.bucket, tried[0])  # changes nothing, but ends here a client that has no such call
    for name in (bucket, target):
        client.create_bucket(name)
        client.enable_versioning(name)
    for document in tried:
        wanted = ({document.within: document.value} if document.within else document.value) | dict(document.kept)
        client.put_document(bucket, document, document.value)
        found = client.document(bucket, document)
        expect(found == wanted, f"{document.name}: {found} instead of {wanted}")
        if document.arguments:
            listed = client.listed_documents(bucket, document)
            expect(listed == [document.value], f"of {document.name} there are {listed}")
        _remove(client, bucket, document)
    for key in client.keys(target, ""):  # access logs, where the client takes its time
        for version_id in client.versions(target, key):
            client.delete_version(target, key, version_id)
    for name in (bucket, target):
        client.delete_bucket(name)
    return f"{len(tried)} documents"


def notifications(client: Client, place: Place) -> str:
    """Receive the event of a new object from a queue."""
    key = "told/a b+c%20ü"
    told = client.put_notified(place.bucket, key, place.file("small-11", 11))
    expect_same(told, [key], "keys that the queue names")
    return ""


def _remove(client: Client, bucket: str, document: Document) -> None:
    """Remove a document, and fail unless it is gone."""
    if document.removal == "put":
        client.put_document(bucket, document, {})
        found = client.document(bucket, document)
        expect(found == document.unset, f"{document.name} is left: {found}")
    elif document.removal:
        client.remove_document(bucket, document)
        try:
            found = client.document(bucket, document)
        except Exception as error:
            expect(document.missing in str(error), f"{document.name} is gone with {error}")
        else:
            expect(False, f"{document.name} is left: {found}")


def client_key(client: Client, place: Place) -> str:
    """Upload and download under a key of the client's own, whole and in parts."""
    key, other = (place.scratch(name) for name in ("key", "other-key"))
    key.write_bytes(bytes(range(65, 97)))
    other.write_bytes(bytes(range(33, 65)))
    target = place.scratch("opened")
    for size in (11, 20 * MIB + 1):
        source = place.file(f"secret-{size}", size)
        client.put_under(place.bucket, f"secret/{size}", source, key)
        client.get_under(place.bucket, f"secret/{size}", target, key)
        expect(digest(target) == digest(source), f"{size} bytes: other contents came back")
        try:
            client.get_under(place.bucket, f"secret/{size}", target, other)
        except Exception as error:
            expect("403" in str(error) or "Forbidden" in str(error), f"another key is refused with {error}")
        else:
            expect(False, "another key opens the object")
    return ""


def delete(client: Client, place: Place) -> str:
    """Delete an object."""
    client.put(place.bucket, "gone/a b+c%20ü", place.file("small-11", 11))
    client.put(place.bucket, "gone/stays", place.file("small-11", 11))
    client.delete(place.bucket, "gone/a b+c%20ü")
    expect_same(client.keys(place.bucket, "gone/"), ["gone/stays"], "keys")
    return ""


def delete_all(client: Client, place: Place) -> str:
    """Delete recursively."""
    client.delete_all(place.bucket, "many/")
    expect_same(client.keys(place.bucket, "many/"), [], "keys under the prefix")
    expect("large" in client.keys(place.bucket, ""), "a key outside the prefix is gone")
    client.delete_all(place.bucket, "")
    expect_same(client.keys(place.bucket, ""), [], "keys in the bucket")
    return ""


def delete_bucket(client: Client, place: Place) -> str:
    """Delete the bucket."""
    client.delete_bucket(place.bucket)
    try:
        left = client.buckets()
    except NotOffered:
        return "not looked for in a list"
    expect(place.bucket not in left, "the bucket is still listed")
    return ""


FEATURES: tuple[Callable[[Client, Place], str], ...] = (
    buckets,
    small,
    upload,
    download,
    listing,
    level,
    sync_up,
    sync_down,
    copy,
    content_type,
    metadata,
    ranges,
    presigned_get,
    presigned_put,
    append,
    rename,
    archive,
    select,
    tags,
    checksums,
    versions,
    annotations,
    settings,
    client_key,
    notifications,
    delete,
    delete_all,
    delete_bucket,
)


def title(feature: Callable[[Client, Place], str]) -> str:
    """Return the title of a feature's row."""
    return (feature.__doc__ or feature.__name__).strip().rstrip(".")
