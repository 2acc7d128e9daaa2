"""A store whose calls fail, wait or come short as a plan says; all others are those of the store within."""

import asyncio

import pytest

from s3ish.blob.memory import MemoryBlobStore
from s3ish.blob.paths import Past
from s3ish.blob.protocol import Corrupt, OutOfReach, Unwritable, VolumesFull
from s3ish.blob.wrappers.faults import Call, FaultPlan, FaultyStore
from s3ish.clock import Clock
from tests.blob.support import SIDECAR, get, put, sample, scanned, settle, strays


class Failing(FaultPlan):
    """Lets calls of one method fail."""

    def __init__(self, method, error):
        self.method, self.error, self.calls = method, error, []

    async def before(self, call):
        self.calls.append(call)
        if call.method == self.method:
            raise self.error


@pytest.fixture
def inner():
    return MemoryBlobStore(clock=Clock(), inline_bytes=100, piece_bytes=1000)


def faulty(inner, method=None, error=None):
    return FaultyStore(inner, Failing(method, error))


WRITES = ["create", "write", "finish", "seal"]


@pytest.mark.parametrize("method", WRITES)
async def test_a_write_that_fails_leaves_nothing(inner, method):
    store = faulty(inner, method, VolumesFull("no room"))
    with pytest.raises(VolumesFull):
        await put(store, sample(2500))
    assert [call.method for call in store.plan.calls] == WRITES[: WRITES.index(method) + 1]
    assert await scanned(inner) == []


async def call_all(store, ref):
    """Make each call that is none of a write; return their names."""
    calls = {
        "open": lambda: store.open(ref),
        "read_sidecar": lambda: store.read_sidecar(ref),
        "amend": lambda: store.amend(ref, b"{}"),
        "check": lambda: store.check(ref, repair=True),
        "scan": lambda: scanned(store),
        "sweep": lambda: strays(store),
        "delete": lambda: store.delete(ref),
    }
    failed = []
    for name, call in calls.items():
        try:
            await call()
        except OutOfReach:
            failed.append(name)
    return list(calls), failed


async def test_each_call_of_a_store_can_fail_alone(inner):
    names, _ = await call_all(inner, await put(inner, sample(2500)))
    for name in names:
        assert (await call_all(faulty(inner, name, OutOfReach("gone")), await put(inner, sample(2500))))[1] == [name]


async def test_adopting_can_fail(inner):
    source = await put(inner, sample(2500))
    with pytest.raises(Unwritable):
        async with faulty(inner, "adopt", Unwritable("gone")).create("b/copy") as writer:
            await writer.adopt(source)


async def test_a_read_fails_in_the_middle(inner):
    class Plan(FaultPlan):
        left = 2

        async def before(self, call):
            if call.method == "read":
                self.left -= 1
                if self.left < 0:
                    raise Corrupt("damaged")

    ref = await put(inner, sample(2500))
    reader = await FaultyStore(inner, Plan()).open(ref)
    assert b"".join([bytes(await anext(reader)), bytes(await anext(reader))]) == sample(2500)[:2000]
    with pytest.raises(Corrupt):
        await anext(reader)
    await reader.close()


async def test_what_is_read_and_written_can_be_cut(inner):
    class Plan(FaultPlan):
        method = "write"

        def passes(self, call, data):
            return data[:10] if call.method == self.method else data

    store = FaultyStore(inner, Plan())
    ref = await put(store, sample(2500), piece=1000)
    assert ref.size == 30
    store.plan.method = "read"
    whole = await put(store, sample(2500))
    assert await get(store, whole) == b"".join(sample(2500)[start : start + 10] for start in (0, 1000, 2000))
    assert await get(inner, whole) == sample(2500)


async def test_a_call_can_wait(inner):
    class Plan(FaultPlan):
        def __init__(self):
            self.reached, self.go = [], asyncio.Event()

        async def before(self, call):
            if call == Call("seal", "b/k"):
                self.reached.append(call)
                await self.go.wait()

    plan = Plan()
    writing = asyncio.ensure_future(put(FaultyStore(inner, plan), sample(10), home="b/k"))
    await settle()
    assert plan.reached
    assert await scanned(inner) == []
    plan.go.set()
    ref = await writing
    assert await scanned(inner) == [(ref.id, SIDECAR)]


async def test_a_sweep_passes_on_what_it_is_asked(inner):
    ref = await put(inner, sample(10))

    async def is_named(_):
        return True

    assert [item.name async for item in FaultyStore(inner, FaultPlan()).sweep(Past(0), is_named, dry=True)] == [ref.id]
