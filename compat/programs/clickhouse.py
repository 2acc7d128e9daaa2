"""ClickHouse, as the library chdb: files read by patterns, a table whose disk is a bucket, its backup."""

import os
import tempfile

import boto3
from chdb.session import Session

ROWS = 100_000
BASE = f"{os.environ['AWS_ENDPOINT_URL']}/{os.environ['BUCKET']}"
KEYS = f"'{os.environ['AWS_ACCESS_KEY_ID']}', '{os.environ['AWS_SECRET_ACCESS_KEY']}'"


def files(session: Session) -> None:
    """Write files by partition, and read them by patterns."""
    session.query(
        f"""INSERT INTO FUNCTION s3('{BASE}/files/{{_partition_id}}.parquet', {KEYS}) PARTITION BY seventh
        SELECT number, number % 7 AS seventh FROM numbers({ROWS})"""
    )
    counted = session.query(f"SELECT sum(number), uniqExact(_file) FROM s3('{BASE}/files/*.parquet', {KEYS})")
    assert str(counted).strip() == f"{ROWS * (ROWS - 1) // 2},7", counted
    some = session.query(f"SELECT count() FROM s3('{BASE}/files/{{1,3}}.parquet', {KEYS})")
    assert int(str(some)) == sum(number % 7 in (1, 3) for number in range(ROWS)), some


def table(session: Session) -> None:
    """Fill a table, merge and change it, restore it from a backup, and drop all."""
    access, secret = KEYS.split(", ")
    session.query("CREATE DATABASE compat ENGINE = Atomic")
    session.query(
        f"""CREATE TABLE compat.first (number UInt64) ENGINE = MergeTree ORDER BY number
        SETTINGS disk = disk(type = s3, endpoint = '{BASE}/disk/',
        access_key_id = {access}, secret_access_key = {secret})"""
    )
    for turn in range(5):
        session.query(f"INSERT INTO compat.first SELECT number + {turn * ROWS} FROM numbers({ROWS})")
    session.query("OPTIMIZE TABLE compat.first FINAL")
    session.query("ALTER TABLE compat.first DELETE WHERE number % 2 = 0 SETTINGS mutations_sync = 1")
    session.query(f"BACKUP TABLE compat.first TO S3('{BASE}/backup', {KEYS})")
    session.query(f"RESTORE TABLE compat.first AS compat.second FROM S3('{BASE}/backup', {KEYS})")
    for name in ("first", "second"):
        found = session.query(f"SELECT count(), sum(number) FROM compat.{name}")
        odd = range(1, 5 * ROWS, 2)
        assert str(found).strip() == f"{len(odd)},{sum(odd)}", f"{name}: {found}"
        session.query(f"DROP TABLE compat.{name} SYNC")


def main() -> None:
    """Use files and a table."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(folder)
        files(session)
        table(session)
        session.close()
    left = boto3.client("s3").list_objects_v2(Bucket=os.environ["BUCKET"], Prefix="disk/").get("Contents", [])
    assert len(left) <= 2, f"{len(left)} objects of dropped tables are left"  # the disk's own, not the tables'
    print(f"{5 * ROWS:,} rows")


if __name__ == "__main__":
    main()
