"""Polars: Parquet, CSV, IPC and lines of JSON written and scanned in place, by columns, rows and folders."""

import os
from collections import Counter

import polars as pl

ROWS, GROUPS = 200_000, 7
BUCKET = f"s3://{os.environ['BUCKET']}"
OPTIONS = {"aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"], "aws_allow_http": "true"}


def main() -> None:
    """Write each form, scan it; write folders by the values of a column, and scan those that a filter leaves."""
    numbers = pl.DataFrame({"n": range(ROWS), "group": [str(n % GROUPS) for n in range(ROWS)]})
    wanted = numbers.filter(pl.col("group") == "3")["n"].sum()
    lazy = numbers.lazy()
    lazy.sink_parquet(f"{BUCKET}/all.parquet", storage_options=OPTIONS)
    lazy.sink_csv(f"{BUCKET}/all.csv", storage_options=OPTIONS)
    lazy.sink_ipc(f"{BUCKET}/all.ipc", storage_options=OPTIONS)
    lazy.sink_ndjson(f"{BUCKET}/all.ndjson", storage_options=OPTIONS)
    text = {"group": pl.String}
    scans = {
        "parquet": pl.scan_parquet(f"{BUCKET}/all.parquet", storage_options=OPTIONS),
        "csv": pl.scan_csv(f"{BUCKET}/*.csv", storage_options=OPTIONS, schema_overrides=text),
        "ipc": pl.scan_ipc(f"{BUCKET}/all.ipc", storage_options=OPTIONS),
        "ndjson": pl.scan_ndjson(f"{BUCKET}/all.ndjson", storage_options=OPTIONS),
    }
    for form, scan in scans.items():
        found = scan.filter(pl.col("group") == "3").select(pl.col("n").sum()).collect().item()
        assert found == wanted, f"{form}: {found} instead of {wanted}"
    lazy.sink_parquet(pl.PartitionBy(f"{BUCKET}/groups/", key="group"), storage_options=OPTIONS)
    folders = pl.scan_parquet(f"{BUCKET}/groups/**/*.parquet", storage_options=OPTIONS, hive_partitioning=True)
    counts = folders.group_by("group").len().collect()
    held = {str(group): count for group, count in counts.iter_rows()}
    assert held == Counter(numbers["group"].to_list()), held
    one = folders.filter(pl.col("group").cast(pl.String) == "3").select(pl.col("n").sum()).collect().item()
    assert one == wanted, f"a folder: {one} instead of {wanted}"
    try:
        pl.scan_parquet(f"{BUCKET}/none.parquet", storage_options=OPTIONS).collect()
    except (FileNotFoundError, OSError):
        pass
    else:
        raise AssertionError("a file that is missing was read")
    print(f"{ROWS:,} rows in {len(scans)} forms, {GROUPS} folders")


if __name__ == "__main__":
    main()
