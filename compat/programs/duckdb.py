"""DuckDB: Parquet and CSV written and read in place, by ranges and by patterns of names."""

import os
from importlib.resources import files

import duckdb

ROWS = 200_000
BUCKET = f"s3://{os.environ['BUCKET']}"


def main() -> None:
    """Write, read a column of it, and read many files by one pattern."""
    database = duckdb.connect()
    (extension,) = files("duckdb_extension_httpfs").glob("**/httpfs.duckdb_extension")  # the package brings it along
    database.load_extension(str(extension))
    database.execute(
        f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}',
        SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}', REGION '{os.environ["AWS_REGION"]}', USE_SSL false,
        ENDPOINT '{os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")}', URL_STYLE 'path')"""
    )
    database.execute(
        f"CREATE TABLE numbers AS SELECT range AS n, n % 7 AS seventh, hash(n) % 1000003 AS noise FROM range({ROWS})"
    )
    total = database.execute("SELECT sum(n), bit_xor(noise::BIGINT) FROM numbers").fetchone()
    for form in ("parquet", "csv"):
        database.execute(f"COPY numbers TO '{BUCKET}/all.{form}'")
        found = database.execute(f"SELECT sum(n), bit_xor(noise::BIGINT) FROM '{BUCKET}/all.{form}'").fetchone()
        assert found == total, f"{form}: {found} instead of {total}"
    database.execute(f"COPY numbers TO '{BUCKET}/parts' (FORMAT parquet, PARTITION_BY (seventh))")
    read = f"read_parquet('{BUCKET}/parts/**/*.parquet', hive_partitioning=true)"
    counts = database.execute(f"SELECT seventh, count(*) FROM {read} GROUP BY seventh ORDER BY seventh").fetchall()
    assert counts == database.execute("SELECT seventh, count(*) FROM numbers GROUP BY seventh ORDER BY 1").fetchall()
    print(f"{ROWS:,} rows")


if __name__ == "__main__":
    main()
