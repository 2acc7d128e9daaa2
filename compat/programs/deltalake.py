"""Delta Lake: six writers at once append to one table, which conditional writes keep whole."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

WRITERS, APPENDS, ROWS = 6, 4, 500
TABLE = f"s3://{os.environ['BUCKET']}/table"
OPTIONS = {"AWS_ALLOW_HTTP": "true", "AWS_CONDITIONAL_PUT": "etag"}


def append(writer: int) -> None:
    """Append rows, a commit each time; the library tries again when another writer was faster."""
    for turn in range(APPENDS):
        rows = pa.table({"writer": [writer] * ROWS, "row": [turn * ROWS + row for row in range(ROWS)]})
        write_deltalake(TABLE, rows, mode="append", storage_options=OPTIONS)


def main() -> None:
    """Write, then read what all have written."""
    write_deltalake(TABLE, pa.table({"writer": [-1], "row": [0]}), storage_options=OPTIONS)
    with ProcessPoolExecutor(WRITERS, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(append, range(WRITERS)))
    table = DeltaTable(TABLE, storage_options=OPTIONS)
    read = table.to_pyarrow_table()
    pairs = set(zip(read["writer"].to_pylist(), read["row"].to_pylist(), strict=True))
    wanted = {(writer, row) for writer in range(WRITERS) for row in range(APPENDS * ROWS)} | {(-1, 0)}
    assert pairs == wanted, f"{len(pairs)} rows instead of {len(wanted)}"
    assert read.num_rows == len(wanted), f"{read.num_rows} rows, some of them twice"
    assert table.version() == WRITERS * APPENDS, f"version {table.version()}"
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert DeltaTable(TABLE, storage_options=OPTIONS).to_pyarrow_table().num_rows == len(wanted)
    print(f"{WRITERS * APPENDS} commits of {WRITERS} writers", flush=True)
    os._exit(0)  # threads of the library abort the interpreter's end now and then


if __name__ == "__main__":
    main()
