"""What release 0.1.0 wrote is still read: every kind of record and sidecar, and whole stores.

The samples in ``1/`` were written by that release (``make_samples.py``) and never change. A later format gets a folder
of its own beside them.
"""

import hashlib
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import boto3
import msgspec
import pytest
from botocore.config import Config

from s3ish.blob.erasure import sidecar
from s3ish.blob.volumes import identity
from s3ish.index.memory import MemoryIndex
from s3ish.index.protocol import Put
from s3ish.integrity.blind_spots import read_blind_spots
from s3ish.model import Garbage
from s3ish.tables.catalogue import NULLS, TABLES, VERSIONS
from s3ish.tables.part_list import LONG_BYTES, PackedParts
from s3ish.tables.state import STATE_ROWS, Mark
from tests.formats.grown import as_then
from tests.waiting import wait_until

SAMPLES = Path(__file__).parent / "1"
ROWS = json.loads((SAMPLES / "rows.json").read_text())
SIDECARS = json.loads((SAMPLES / "sidecars.json").read_text())
STORES = json.loads((SAMPLES / "stores.json").read_text())


def spelled(value):
    """Return a record as the samples spell it."""
    if isinstance(value, Garbage):  # in format 1 it was a reference with those to its parts behind it
        return spelled(value.ref) | {"parts": spelled(value.parts)}
    if isinstance(value, msgspec.Struct):
        return {name: spelled(it) for name, it in msgspec.structs.asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): spelled(member) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [spelled(member) for member in value]
    return value.hex() if isinstance(value, bytes) else value


def spelled_sidecar(told):
    """Return what a sidecar says as the samples spell it."""
    return dict(zip(told.table.beside, told.beside, strict=True)) | {told.table.kind: spelled(told.record)}


def read_state(key, value):
    """Return what a row of the state table says; marks have neither format nor checksum."""
    (row,) = (it for it in STATE_ROWS if key == it.key or (it.is_family and key.startswith(it.key)))
    return value if isinstance(row, Mark) else row.of(key.removeprefix(row.key)).read(value)


def read_row(table, key, value):
    """Return what a row says, read as its readers do."""
    if table == "state":
        return read_state(key, value)
    if table == "nulls":
        return NULLS.decode(key, value).to_bytes(8, "big")
    return TABLES[table].decode(key, value)


@pytest.mark.parametrize("sample", ROWS, ids=lambda sample: f"{sample['table']}: {sample['name']}")
def test_a_row_says_what_it_said(sample):
    table, key, value = sample["table"], bytes.fromhex(sample["key"]), bytes.fromhex(sample["value"])
    assert [*TABLES[table].split(key)] == sample["key_says"]
    says = sample["says"]
    if sample["kind"] == "BlobRef":  # a row of garbage without parts, as it was then
        says["parts"] = []
    assert as_then(spelled(read_row(table, key, value)), says) == says


def test_a_version_of_many_parts_says_the_same_when_its_parts_are_left_encoded():
    (sample,) = (it for it in ROWS if it["name"] == "multipart of many parts")
    key, value = bytes.fromhex(sample["key"]), bytes.fromhex(sample["value"])
    assert len(value) >= LONG_BYTES
    version = VERSIONS.decode(key, value)
    assert isinstance(version.parts, PackedParts)
    assert as_then(spelled(version), sample["says"]) == sample["says"]


async def test_the_gaps_of_an_index_are_still_known():
    index = MemoryIndex(TABLES.layouts)
    rows = [(bytes.fromhex(it["key"]), bytes.fromhex(it["value"])) for it in ROWS if it["table"] == "state"]
    await index.commit([Put("state", key, value) for key, value in rows])
    found = await read_blind_spots(index)
    assert dict(found) == {"bucket/gap@": "the sidecar is damaged", "\udcff": "no text"}


def test_every_table_and_every_kind_of_sidecar_has_a_sample():
    later = {"intents", "messages", "outbox", "replications", "sendings", "system", "usage"}
    later |= {"snapshots", "kept", "worlds", "restores"}
    assert {it["table"] for it in ROWS} == {table.name for table in TABLES} - later
    assert {it["kind"] for it in SIDECARS} == {"bucket", "version", "upload", "part", "volume"}


@pytest.mark.parametrize("sample", SIDECARS, ids=lambda sample: sample["name"])
def test_a_sidecar_says_what_it_said(sample):
    text = (SAMPLES / sample["file"]).read_bytes()
    if sample["kind"] == "volume":
        assert spelled(identity.decode(text, sample["file"])) == sample["says"]
        return
    found = sidecar.decode(text, sample["blob"]["id"])
    assert spelled(found.ref) == sample["blob"]
    assert found.revision == sample["revision"]
    assert spelled(found.data) == sample["data"]
    assert list(found.others) == sample["others"]
    says = spelled_sidecar(TABLES.read_sidecar(found.content))
    assert as_then(says, sample["says"]) == sample["says"]


# --- whole stores

USERS = {"root": ("s3ishadmin", "s3ishadmin"), "other": ("OTHERACCESSKEY", "the-other-secret")}
CONFIGURATION = f"""
[[auth.users]]
access_key = "{USERS["other"][0]}"
secret_key = "{USERS["other"][1]}"
id = "other"
display_name = "Another User"
"""


class Store:
    """A store of the old release, unpacked."""

    def __init__(self, name, folder, run_s3ish, start_server):
        self.expected = STORES[name]
        self.folder = folder
        with tarfile.open(SAMPLES / f"{name}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        self.volumes = [folder / volume for volume in self.expected["volumes"]]
        (folder / "config.toml").write_text(CONFIGURATION)
        self._options = (*self.volumes, "--config", folder / "config.toml")
        self._run, self._start = run_s3ish, start_server

    def run(self, *command):
        """Run a command of ``s3ish`` on it; return the exit code and what it printed."""
        done = self._run(*command, *self._options)
        return done.returncode, done.stdout + done.stderr

    def check(self, *options):
        """Run ``s3ish check``; return the exit code and what it printed."""
        return self.run("check", *options)

    def serve(self):
        """Start a server on it."""
        return self._start(*self._options)

    def find(self, pattern):
        """Return the files of a pattern on all volumes."""
        return sorted(path for volume in self.volumes for path in volume.glob(pattern))


@pytest.fixture
def unpack(tmp_path, run_s3ish, start_server):
    """A function that unpacks a store by its name."""
    return lambda name: Store(name, tmp_path, run_s3ish, start_server)


def clients(server):
    """Return a client of every user."""
    return {
        user: boto3.client(
            "s3",
            endpoint_url=server.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        for user, (access_key, secret_key) in USERS.items()
    }


def check_everything(server, expected):
    """Compare all that clients see with what they saw at the old release."""
    of = clients(server)
    owners = {it["name"]: of[it["owner"]] for it in expected["buckets"]}
    assert {it["Name"] for it in of["other"].list_buckets()["Buckets"]} <= set(owners)
    for it in expected["buckets"]:
        s3 = owners[it["name"]]
        assert it["name"] in [found["Name"] for found in s3.list_buckets()["Buckets"]]
        assert s3.get_bucket_versioning(Bucket=it["name"]).get("Status", "") == it["versioning"]
    for name, s3 in owners.items():
        page = s3.list_object_versions(Bucket=name)
        for kind, wanted in (("Versions", expected["versions"]), ("DeleteMarkers", expected["markers"])):
            listed = [(found["Key"], found["VersionId"], found["IsLatest"]) for found in page.get(kind, ())]
            assert listed == [(it["key"], it["version_id"], it["latest"]) for it in wanted if it["bucket"] == name]
    for it in expected["versions"]:
        check_version(owners[it["bucket"]], it)
    check_uploads(owners, expected["uploads"])


def check_version(s3, it):
    """Read a version; compare its bytes and what stands beside them."""
    answer = s3.get_object(Bucket=it["bucket"], Key=it["key"], VersionId=it["version_id"], ChecksumMode="ENABLED")
    assert hashlib.sha256(answer["Body"].read()).hexdigest() == it["sha256"], it["key"]
    assert {name: answer.get(name) for name in it["headers"]} == it["headers"], it["key"]
    assert answer["LastModified"].isoformat() == it["modified"], it["key"]


def check_uploads(owners, wanted):
    """Compare the uploads in progress and their parts."""
    for name, s3 in owners.items():
        listed = [found["UploadId"] for found in s3.list_multipart_uploads(Bucket=name).get("Uploads", ())]
        assert listed == [it["upload_id"] for it in wanted if it["bucket"] == name]
    for it in wanted:
        place = {"Bucket": it["bucket"], "Key": it["key"], "UploadId": it["upload_id"]}
        parts = owners[it["bucket"]].list_parts(**place).get("Parts", ())
        assert [{name: part[name] for name in part if name != "LastModified"} for part in parts] == it["parts"]


@pytest.mark.parametrize("name", ["one-volume", "three-volumes"])
def test_a_store_of_the_old_release_is_whole(unpack, name):
    store = unpack(name)
    assert store.check()[0] == 0
    server = store.serve()
    check_everything(server, store.expected)
    code, log = server.stop()
    assert (code, "Traceback" in log) == (0, False)
    assert store.check()[0] == 0


@pytest.mark.parametrize("name", ["one-volume", "three-volumes"])
def test_what_the_old_release_wrote_is_healed(unpack, name):
    store = unpack(name)
    kinds = {
        "plain/large@*/data.1": "a shard",
        "plain/many@*/parity.0": "a shard of a part",
        "plain/large@*/metadata.json": "a sidecar",
    }
    whole = {path: path.read_bytes() for pattern in kinds for path in store.find(pattern)[:1]}
    assert len(whole) == len(kinds)
    for path, data in whole.items():
        path.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    code, printed = store.check()
    assert code == 1, printed
    code, printed = store.check("--repair")
    assert code == 0, printed
    assert {path.name: path.read_bytes() for path in whole if path.name != "metadata.json"} == {
        path.name: data for path, data in whole.items() if path.name != "metadata.json"
    }
    assert store.check()[0] == 0
    server = store.serve()
    check_everything(server, store.expected)
    assert server.stop()[0] == 0


@pytest.mark.parametrize("name", ["one-volume", "three-volumes"])
def test_an_index_is_rebuilt_from_the_sidecars_of_the_old_release(unpack, name):
    store = unpack(name)
    for path in store.find(".s3ish/index.db*"):
        path.unlink()
    code, printed = store.run("index", "rebuild")
    assert code == 0, printed
    server = store.serve()
    check_everything(server, store.expected)
    assert server.stop()[0] == 0
    assert store.check()[0] == 0


def test_a_store_that_the_old_release_left_in_a_crash_is_put_in_order(unpack):
    """An object of many parts was deleted but its parts were still there; another was never committed."""
    store = unpack("killed")
    left = store.find("killed/many@*") + store.find("killed/orphan@*")
    assert len(left) == 21
    server = store.serve()
    check_everything(server, store.expected)
    wait_until(lambda: not store.find("killed/many@*") and not store.find("killed/orphan@*"))
    code, log = server.stop()
    assert (code, "Traceback" in log) == (0, False)
    assert store.check()[0] == 0
