"""Apache Iceberg by PyIceberg: a table that grows, shrinks and gets a column, on each of the library's ways to S3."""

import os

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import LongType

ROWS = 1000
WAYS = ("pyiceberg.io.pyarrow.PyArrowFileIO", "pyiceberg.io.fsspec.FsspecFileIO")


def use(way: str) -> None:
    """Make a table, change it, read it by a filter and as it was, remove it."""
    name = way.rpartition(".")[2]
    settings = {
        "uri": "sqlite://",
        "warehouse": f"s3://{os.environ['BUCKET']}/{name}",
        "py-io-impl": way,
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3.region": os.environ["AWS_REGION"],
    }
    catalog = SqlCatalog("compat", **settings)
    catalog.create_namespace("space")
    rows = pa.table({"number": pa.array(range(ROWS), pa.int64()), "text": [str(number) for number in range(ROWS)]})
    table = catalog.create_table("space.table", schema=rows.schema)
    table.append(rows)
    table.append(rows)
    doubled = table.current_snapshot()
    table.overwrite(rows)
    table.delete(f"number >= {ROWS // 2}")
    with table.update_schema() as schema:
        schema.add_column("more", LongType())
    assert table.scan().to_arrow()["number"].to_pylist() == list(range(ROWS // 2))
    assert table.scan(row_filter="number < 10").to_arrow()["more"].to_pylist() == [None] * 10
    assert doubled is not None
    assert table.scan(snapshot_id=doubled.snapshot_id).to_arrow().num_rows == 2 * ROWS
    catalog.purge_table("space.table")


def main() -> None:
    """Use every way."""
    for way in WAYS:
        use(way)
    print(f"{len(WAYS)} ways to S3")


if __name__ == "__main__":
    main()
