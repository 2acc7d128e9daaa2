"""TensorStore: arrays in chunks and shards, a database of versions, a key that six writers count in by conditions."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy
import tensorstore

SIZE, WRITERS, TURNS = 600, 6, 8
PLACE = {
    "driver": "s3",
    "bucket": os.environ["BUCKET"],
    "endpoint": os.environ["AWS_ENDPOINT_URL"],
    "aws_region": os.environ["AWS_REGION"],
    "aws_credentials": {"type": "environment"},
}


def place(path: str) -> dict[str, Any]:
    """Return the declaration of a folder of the bucket."""
    return PLACE | {"path": f"{path}/"}


def arrays() -> int:
    """Write an array in each form, open it again, and compare; then make it larger."""
    numbers = numpy.random.default_rng(1).random((SIZE, SIZE)).astype("f4")
    shards = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [300, 300]}}}
    inner = {"chunk_shape": [100, 100], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}
    shards["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]  # type: ignore[assignment]
    ocdbt = {"driver": "ocdbt", "base": place("database")}
    specs = {
        "zarr": {"driver": "zarr", "kvstore": place("zarr")},
        "zarr3 in shards": {"driver": "zarr3", "kvstore": place("zarr3"), "metadata": shards},
        "n5": {"driver": "n5", "kvstore": place("n5")},
        "a database": {"driver": "zarr3", "kvstore": ocdbt},
    }
    for name, spec in specs.items():
        made = tensorstore.open(spec, create=True, dtype=tensorstore.float32, shape=[SIZE, SIZE]).result()
        made.write(numbers).result()
        found = tensorstore.open(spec).result().read().result()
        assert (found == numbers).all(), f"{name}: other numbers came back"
        larger = made.resize(exclusive_max=[SIZE + 10, SIZE]).result()
        larger[SIZE:].write(numpy.ones((10, SIZE), "f4")).result()
        assert float(tensorstore.open(spec).result().read().result()[-1].sum()) == SIZE, name
    return len(specs)


def conditions() -> int:
    """Have several count in one key, each write on the condition that nothing came between."""
    keys = tensorstore.KvStore.open(place("keys")).result()
    keys.write(b"count", b"0").result()

    def count(_: int) -> None:
        for _ in range(TURNS):
            while True:
                seen = keys.read(b"count").result()
                more = str(int(seen.value) + 1).encode()
                if keys.write(b"count", more, if_equal=seen.stamp.generation).result().generation != b"":
                    break

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(count, range(WRITERS)))
    return int(keys.read(b"count").result().value)


def listings() -> None:
    """List keys in order, those of a range, and remove them by ranges."""
    keys = tensorstore.KvStore.open(place("listed")).result()
    names = sorted(f"{number} ä+b/{number}".encode() for number in range(25))
    for name in names:
        keys.write(name, name).result()
    assert sorted(keys.list().result()) == names
    some = keys.list(tensorstore.KvStore.KeyRange(b"1", b"2")).result()
    assert sorted(some) == [name for name in names if name.startswith(b"1")], some
    assert keys.read(b"none").result().state == "missing"
    keys.delete_range(tensorstore.KvStore.KeyRange(b"1", b"2")).result()
    assert len(keys.list().result()) == len(names) - len(some)


def main() -> None:
    """Do all of it."""
    forms = arrays()
    counted = conditions()
    assert counted == WRITERS * TURNS, f"{counted} instead of {WRITERS * TURNS}"
    listings()
    print(f"arrays in {forms} forms, {counted} changes of {WRITERS} writers")


if __name__ == "__main__":
    main()
