"""Stores of every shape, on a directory that the test throws away."""

import os

import pytest

from s3ish.blob.erasure.core import BlobSettings
from s3ish.blob.erasure.store import ErasureStore
from s3ish.blob.memory import MemoryBlobStore
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.blob.wrappers.faults import FaultPlan, FaultyStore
from s3ish.clock import Clock
from s3ish.threads import ThreadPool

SMALL = {"stripe_bytes": 1000, "inline_bytes": 100}
SHAPES = {
    "one": (1, BlobSettings(k=2, m=1, **SMALL)),
    "plain": (1, BlobSettings(k=1, m=0, **SMALL)),
    "three": (3, BlobSettings(k=2, m=1, **SMALL)),
    "three-zfec": (3, BlobSettings(code="rs-zfec", k=2, m=1, **SMALL)),
    "six": (6, BlobSettings(k=4, m=2, **SMALL)),
    "eight": (8, BlobSettings(k=3, m=3, **SMALL)),
}


@pytest.fixture
def offload():
    offload = ThreadPool(8)
    yield offload
    offload.close()


@pytest.fixture
def make_store(tmp_path, offload):
    """A function that opens a store of a shape; again on the same files if it is called again."""
    opened = []

    def make(shape="three", **changes):
        count, settings = SHAPES[shape]
        roots = [str(tmp_path / shape / f"volume{i}") for i in range(count)]
        volumes = open_volumes(roots, clock=Clock(), fsync=False, missing=changes.pop("missing", 0))
        store = ErasureStore(volumes, settings._replace(**changes), clock=Clock(), offload=offload)
        store.damage = []
        store.core.report = lambda ref, names: store.damage.append((ref.id, names))
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.volumes.close()


@pytest.fixture(params=["memory", *SHAPES, "wrapped", "wrapped memory"])
def store(request, make_store):
    """Every implementation of a blob store, and stores around others."""
    shape = request.param.removeprefix("wrapped") or "three"
    memory = MemoryBlobStore(clock=Clock(), inline_bytes=100, piece_bytes=1000)
    store = memory if "memory" in shape else make_store(shape)
    return FaultyStore(store, FaultPlan()) if "wrapped" in request.param else store


@pytest.fixture(params=list(SHAPES))
def disk_store(request, make_store):
    return make_store(request.param)


@pytest.fixture(params=[shape for shape, (_, settings) in SHAPES.items() if settings.m])
def redundant_store(request, make_store):
    """A store of every shape that can lose something."""
    return make_store(request.param)


@pytest.fixture
def files(tmp_path):
    """A function that lists all files and folders of the volumes but the private ones."""

    def find():
        found = []
        for root in tmp_path.glob("*/volume*"):
            for folder, folders, names in os.walk(root):
                folders[:] = [name for name in folders if name != ".s3ish"]
                found += [os.path.join(folder, name) for name in [*folders, *names]]
        return sorted(found)

    return find
