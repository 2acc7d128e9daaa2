"""How many workers a server has unless settings say."""

import os

import pytest

from s3ish.config import ServerSettings, Settings
from s3ish.process import cores, serve


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A function that writes files of control groups; this process is in ``/slice/unit`` and may use 16 cores."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / "groups" / name.replace("__", "/").replace("cpu_max", "cpu.max").replace("cfs", "cpu.cfs")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    (tmp_path / "own").write_text("1:cpu:/old\n0::/slice/unit\n")
    monkeypatch.setattr(cores, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "_OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    return write


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 16),
        ({"slice__unit__cpu_max": "max 100000\n"}, 16),
        ({"slice__unit__cpu_max": "200000 100000\n"}, 2),
        ({"slice__unit__cpu_max": "50000 100000\n"}, 1),
        ({"slice__unit__cpu_max": "150000 100000\n"}, 2),
        ({"slice__cpu_max": "300000 100000\n", "slice__unit__cpu_max": "max 100000\n"}, 3),
        ({"cpu_max": "100000 100000\n", "slice__unit__cpu_max": "400000 100000\n"}, 1),
        ({"slice__unit__cpu_max": "nonsense\n"}, 16),
        ({"slice__unit__cpu_max": "9900000 100000\n"}, 16),
        ({"cpu__cfs_quota_us": "400000\n", "cpu__cfs_period_us": "100000\n"}, 4),
        ({"cpu__cfs_quota_us": "-1\n", "cpu__cfs_period_us": "100000\n"}, 16),
    ],
)
def test_a_container_has_the_cores_that_it_may_use(groups, files, count):
    groups(**files)
    assert cores.usable_cores() == count


def test_without_control_groups_the_scheduler_says(groups, tmp_path, monkeypatch):
    (tmp_path / "own").unlink()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert cores.usable_cores() == 1


@pytest.mark.parametrize(("given", "found", "count"), [(0, 1, 1), (0, 4, 4), (0, 64, 8), (1, 4, 1), (12, 4, 12)])
def test_one_worker_a_core_and_at_most_eight_unless_settings_say(monkeypatch, given, found, count):
    monkeypatch.setattr(serve, "usable_cores", lambda: found)
    assert serve.with_workers(Settings(server=ServerSettings(workers=given))).server.workers == count
