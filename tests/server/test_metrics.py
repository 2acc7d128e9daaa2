"""The metrics of several workers, whose files meet in one directory."""

import os
import re
import subprocess
import sys
import tempfile
import time

import pytest

from s3ish.process.serve import metrics_directory

TWO_WORKERS = """
import os
from s3ish.observe.observer import Observer

def worker(state, waiting):
    observer = Observer(shared=True)
    observer.volume(0, state)
    observer.repairs_waiting(waiting)
    observer.scrubbed(100)
    return observer

if not (process := os.fork()):
    worker("does not answer", 5)
    os._exit(0)
os.waitpid(process, 0)
print(worker("ok", 2).render()[1].decode())
"""


def test_a_worker_that_died_counts_no_more_but_what_it_counted_stays(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", TWO_WORKERS],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(re.findall(r"^(s3ish_\w+(?:\{.*\})?) (\S+)$", answer.stdout, re.M))
    assert found['s3ish_volume_ok{volume="0"}'] == "1.0"
    assert found["s3ish_repairs_waiting"] == "2.0"
    assert found["s3ish_scrubbed_bytes_total"] == "200.0"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_server_left_is_swept_and_nothing_else(temporary):
    long_ago = time.time() - 3600
    left, fresh, other = (temporary / name for name in ("s3ish-metrics-left", "s3ish-metrics-fresh", "other"))
    for folder in (left, fresh, other):
        folder.mkdir()
        (folder / "counter_1.db").write_bytes(b"x")
    with metrics_directory(2):
        living = os.environ["PROMETHEUS_MULTIPROC_DIR"]
        for folder in (left, other, living):
            os.utime(folder, (long_ago, long_ago))
        with metrics_directory(2):
            assert os.environ["PROMETHEUS_MULTIPROC_DIR"] != living
            assert os.path.isdir(living)
            assert not left.exists()
            assert fresh.exists()
            assert other.exists()
    assert sorted(os.listdir(temporary)) == ["other", "s3ish-metrics-fresh"]
    with metrics_directory(1):
        assert sorted(os.listdir(temporary)) == ["other", "s3ish-metrics-fresh"]
