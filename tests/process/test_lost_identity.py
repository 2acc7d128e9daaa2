"""What says which volume it is may be damaged, lost, replaced or swapped: that drive alone is away, until a heal."""

import os
import shutil
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from s3ish import config_sources
from s3ish.blob.protocol import VolumeError
from s3ish.cli import store as commands
from s3ish.process import start
from tests.process.test_blank_index import DATA, check, fill, look, serve

FILES = (".s3ish/volume.json", ".s3ish/volume.json.copy")


@pytest.fixture(autouse=True)
def plain_logs(monkeypatch):
    """Leave the logs of this process as other tests expect them."""
    for module in (start, commands):
        monkeypatch.setattr(module, "set_up_logs", lambda *_: None)


@pytest.fixture(params=[1, 3])
def roots(request, tmp_path):
    return [tmp_path / str(number) for number in range(request.param)]


@pytest.fixture
def settings(roots):
    return config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})


def damage(root):
    for name in FILES:
        (root / name).write_bytes(b"damaged")


def lose(root):
    for name in FILES:
        (root / name).unlink()


def lose_private(root):
    shutil.rmtree(root / ".s3ish")


@pytest.mark.parametrize("happens", [damage, lose, lose_private])
def test_one_drive_without_an_identity_is_away_and_healed(settings, roots, happens):  # case 159
    serve(settings, fill)
    happens(roots[-1])
    if len(roots) == 1:
        with pytest.raises(VolumeError, match="Run: s3ish heal"):
            serve(settings, look)
    else:
        with capture_logs() as logs:
            assert serve(settings, look) == DATA
        (reason,) = [line["reason"] for line in logs if line["event"] == "a volume is out of reach"]
        assert str(roots[-1]) in reason
        assert "s3ish heal" in reason
    counts = check(settings, repair=True).counts
    assert counts["lost"] == counts["orphan"] == 0
    with capture_logs() as logs:
        assert serve(settings, look) == DATA
    assert not [line for line in logs if line["event"] == "a volume is out of reach"]
    assert check(settings, repair=False).counts["damaged"] == 0


@pytest.mark.parametrize("names", [FILES[:1], FILES[1:]])
def test_swapped_files_change_nothing(tmp_path, names):  # case 159
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill)
    for name in names:
        os.rename(roots[0] / name, tmp_path / "moved")
        os.rename(roots[1] / name, roots[0] / name)
        os.rename(tmp_path / "moved", roots[1] / name)
    assert serve(settings, look) == DATA
    assert check(settings, repair=False).counts["damaged"] == 0


def test_private_directories_that_were_swapped_are_noticed_and_healed(tmp_path):  # case 159
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill)
    os.rename(roots[0] / ".s3ish", tmp_path / "moved")
    os.rename(roots[1] / ".s3ish", roots[0] / ".s3ish")
    os.rename(tmp_path / "moved", roots[1] / ".s3ish")
    with pytest.raises(VolumeError, match=r"0 says that it is volume 1, but .* of another one\. Run: s3ish heal"):
        serve(settings, look)
    counts = check(settings, repair=True).counts
    assert counts["lost"] == counts["orphan"] == 0
    assert serve(settings, look) == DATA
    assert check(settings, repair=False).counts["damaged"] == 0


PRIVATE = ("generation", "commits", "lock", "workers.lock")


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("how", ["deleted", "emptied", "flipped", "a directory", "a pipe", "a link", "another's"])
def test_the_other_private_files_may_be_anything(settings, roots, tmp_path, name, how):  # cases 159, 164
    serve(settings, fill)
    serve(settings, look)
    file, elsewhere = roots[-1] / ".s3ish" / name, tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    before = file.read_bytes() if file.exists() else b""
    with suppress(FileNotFoundError):
        file.unlink()
    if how == "emptied":
        file.touch()
    elif how == "flipped":
        file.write_bytes(bytes([before[0] ^ 3]) + before[1:] if before else b"x")
    elif how == "a directory":
        file.mkdir()
    elif how == "a pipe":
        os.mkfifo(file)
    elif how == "a link":
        file.symlink_to(elsewhere)
    elif how == "another's":
        file.write_bytes(b"12345678\n")
    if len(roots) == 1 and "lock" in name and how in ("a directory", "a link"):  # what was planted is not removed
        with pytest.raises((VolumeError, OSError), match=name):
            serve(settings, look)
    else:
        assert serve(settings, look) == DATA
    assert elsewhere.read_bytes() == b"mine"


def test_the_survey_says_why_a_volume_is_out_of_reach(tmp_path, run_s3ish):  # case 159
    roots = [tmp_path / str(number) for number in range(3)]
    settings = config_sources.load({"storage.volumes": [*map(str, roots)], "storage.fsync": False}, {})
    serve(settings, fill)
    damage(roots[1])
    told = run_s3ish("volumes", *roots)
    assert told.returncode == 1
    assert f"out of reach: {roots[1]}/.s3ish/volume.json is damaged" in told.stdout
    told = run_s3ish("heal", *roots)
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"repaired: {roots[1]}" in told.stdout
    assert run_s3ish("volumes", *roots).returncode == 0
