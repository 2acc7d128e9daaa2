"""Lance: six writers at once append to one data set, which conditional writes keep whole; a search by vectors."""

import os
from concurrent.futures import ThreadPoolExecutor

import lance
import lancedb
import pyarrow as pa

WRITERS, APPENDS, VECTORS = 6, 4, 600
BUCKET = f"s3://{os.environ['BUCKET']}"
OPTIONS = {"allow_http": "true"}


def append(writer: int) -> None:
    """Append rows, a version each time; the library tries again when another writer was faster."""
    for turn in range(APPENDS):
        rows = pa.table({"number": [writer * APPENDS + turn]})
        lance.write_dataset(rows, f"{BUCKET}/rows.lance", mode="append", storage_options=OPTIONS)


def versions() -> None:
    """Have all write; read what they wrote, and the first version."""
    lance.write_dataset(pa.table({"number": [-1]}), f"{BUCKET}/rows.lance", storage_options=OPTIONS)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append, range(WRITERS)))
    rows = lance.dataset(f"{BUCKET}/rows.lance", storage_options=OPTIONS)
    assert sorted(rows.to_table()["number"].to_pylist()) == list(range(-1, WRITERS * APPENDS))
    assert len(rows.versions()) == 1 + WRITERS * APPENDS, rows.versions()[-1]
    rows.optimize.compact_files()
    rows.delete("number < 0")
    assert rows.count_rows() == WRITERS * APPENDS
    first = lance.dataset(f"{BUCKET}/rows.lance", version=1, storage_options=OPTIONS)
    assert first.to_table()["number"].to_pylist() == [-1]


def search() -> None:
    """Find the nearest vector, by an index too."""
    database = lancedb.connect(f"{BUCKET}/database", storage_options=OPTIONS)
    vectors = [{"number": number, "vector": [float(number + axis) for axis in range(16)]} for number in range(VECTORS)]
    table = database.create_table("vectors", vectors)
    table.create_index("vector", config=lancedb.index.IvfPq(num_partitions=2, num_sub_vectors=4))
    table.add([{"number": -1, "vector": [-1000.0] * 16}])
    assert table.search([-1000.0] * 16).limit(1).to_list()[0]["number"] == -1
    table.update(where="number = 7", values={"number": 70_000})
    assert table.count_rows("number = 70000") == 1
    table.optimize()
    assert table.count_rows() == VECTORS + 1
    database.drop_table("vectors")


def main() -> None:
    """Write and search."""
    versions()
    search()
    print(f"{WRITERS * APPENDS} versions of {WRITERS} writers, {VECTORS} vectors")


if __name__ == "__main__":
    main()
