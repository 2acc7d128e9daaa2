"""Icechunk: six sessions at once commit to one branch, which conditional writes keep whole; a tag, a branch."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import icechunk
import zarr

SESSIONS = 6


def commit(repository: icechunk.Repository, row: int) -> None:
    """Write a row of the array and commit it, again when another session was faster."""
    while True:
        session = repository.writable_session("main")
        zarr.open_array(session.store, path="numbers")[row] = row + 1
        try:
            session.commit(f"row {row}")
        except icechunk.ConflictError:
            continue
        return


def main() -> None:
    """Commit from all sessions, and read what each has written."""
    storage = icechunk.s3_storage(
        bucket=os.environ["BUCKET"],
        prefix="repository",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
        allow_http=True,
        force_path_style=True,
        from_env=True,
    )
    repository = icechunk.Repository.create(storage)
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="numbers", shape=(SESSIONS, 100), chunks=(1, 10), dtype="i4")
    empty = session.commit("empty")
    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(lambda row: commit(repository, row), range(SESSIONS)))
    repository = icechunk.Repository.open(storage)
    found = zarr.open_array(repository.readonly_session("main").store, path="numbers", mode="r")[:]
    assert found.tolist() == [[row + 1] * 100 for row in range(SESSIONS)]
    commits = [it.message for it in repository.ancestry(branch="main")]
    assert sorted(commits[:SESSIONS]) == [f"row {row}" for row in range(SESSIONS)], commits
    repository.create_tag("start", snapshot_id=empty)
    assert not zarr.open_array(repository.readonly_session(tag="start").store, path="numbers", mode="r")[:].any()
    repository.create_branch("side", snapshot_id=empty)
    repository.reset_branch("side", repository.lookup_branch("main"))
    repository.garbage_collect(datetime.now(UTC))
    print(f"{SESSIONS} commits of {SESSIONS} sessions")


if __name__ == "__main__":
    main()
