"""Which directories become volumes, and which are refused."""

import errno
import os

import pytest

from s3ish.blob.protocol import NewerFormat, VolumeError
from s3ish.blob.volumes import open_set
from s3ish.blob.volumes.identity import Identity, encode
from s3ish.blob.volumes.open_set import open_volumes
from s3ish.clock import Clock


def paths(tmp_path, count, name="v"):
    return [str(tmp_path / f"{name}{number}") for number in range(count)]


def opened(roots, **options):
    volumes = open_volumes(roots, clock=Clock(), **options)
    found = [(volume.root, volume.identity) for volume in volumes.present]
    volumes.close()
    return found


def test_new_and_empty_directories_become_a_set(tmp_path):
    roots = paths(tmp_path, 3)
    os.mkdir(roots[1])
    os.makedirs(roots[2] + "/lost+found")
    first = opened(roots)
    assert [identity.position for _, identity in first] == [0, 1, 2]
    assert len({identity.set for _, identity in first}) == 1
    assert len({identity.id for _, identity in first}) == 3
    assert opened(roots) == first


def test_swapped_roots_are_told_apart(tmp_path):  # case 27
    roots = paths(tmp_path, 3)
    first = opened(roots)
    assert opened([roots[2], roots[0], roots[1]]) == first


def test_an_empty_directory_takes_the_place_of_a_lost_volume(tmp_path):  # case 27
    roots = paths(tmp_path, 3)
    first = opened(roots)
    fresh = str(tmp_path / "fresh")
    os.mkdir(fresh)
    second = opened([roots[0], fresh, roots[2]], missing=1)
    assert [root for root, _ in second] == [roots[0], fresh, roots[2]]
    assert second[1][1].set == first[1][1].set
    assert second[1][1].id != first[1][1].id
    with pytest.raises(VolumeError, match="are the same volume"):
        opened([roots[1], fresh, roots[2]])


def test_volumes_of_another_set_are_refused(tmp_path):  # case 27
    roots, others = paths(tmp_path, 3), paths(tmp_path, 3, "other")
    opened(roots)
    opened(others)
    with pytest.raises(VolumeError, match="another set"):
        opened([*roots[:2], others[2]])
    with pytest.raises(VolumeError, match="set of 3 volumes, but 2"):
        opened(roots[:2])
    with pytest.raises(VolumeError, match="the same volume"):
        opened([roots[0], roots[0], roots[1]])


def test_a_directory_with_other_files_is_refused(tmp_path):
    (tmp_path / "v0").mkdir()
    (tmp_path / "v0" / "letter.txt").write_text("mine")
    with pytest.raises(VolumeError, match=r"other files \('letter.txt'"):
        opened([str(tmp_path / "v0")])
    assert os.listdir(tmp_path / "v0") == ["letter.txt"]


def test_what_is_no_directory_is_refused(tmp_path):  # case 145
    (tmp_path / "file").write_text("")
    os.symlink(tmp_path / "file", tmp_path / "link")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling")
    for path in ("file", "link", "dangling", "file/below"):
        with pytest.raises(VolumeError):
            opened([str(tmp_path / path)])
    for path in ("/", "//", "/tmp/.."):
        with pytest.raises(VolumeError, match="root of the file system"):
            opened([path])


def test_a_link_to_a_directory_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert len(opened([str(tmp_path / "link")])) == 1


def test_without_create_nothing_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "absent"):
        with pytest.raises(VolumeError):
            opened([str(tmp_path / name)], create=False)
    assert os.listdir(tmp_path) == ["empty"]
    assert os.listdir(tmp_path / "empty") == []


def test_an_unmounted_mount_point_is_refused(tmp_path, monkeypatch):  # cases 28, 145
    roots = paths(tmp_path, 3)
    opened(roots)
    fresh = str(tmp_path / "fresh")
    os.mkdir(fresh)
    monkeypatch.setattr(open_set, "_is_mounted", lambda root: root.path != fresh)
    with pytest.raises(VolumeError, match="is its drive mounted"):
        opened([roots[0], fresh, roots[2]])
    assert os.listdir(fresh) == []


def test_a_volume_that_is_not_mounted_may_be_missing(tmp_path, monkeypatch):  # cases 26, 28
    roots = paths(tmp_path, 3)
    opened(roots)
    mount_point = str(tmp_path / "mount point")
    os.mkdir(mount_point)
    monkeypatch.setattr(open_set, "_is_mounted", lambda root: root.path != mount_point)
    for create in (True, False):
        found = opened([roots[0], mount_point, roots[2]], missing=1, create=create)
        assert [member.position for _, member in found] == [0, 2]
        assert os.listdir(mount_point) == []
    os.mkdir(os.path.join(mount_point, "letters"))
    with pytest.raises(VolumeError, match="holds other files"):
        opened([roots[0], mount_point, roots[2]], missing=1)


def test_some_volumes_may_be_missing(tmp_path):  # case 26
    roots = paths(tmp_path, 3)
    first = opened(roots)
    os.rename(roots[1], roots[1] + ".away")
    (tmp_path / "v1").write_text("in the way")
    with pytest.raises(VolumeError):
        opened(roots)
    assert opened(roots, missing=1) == [first[0], first[2]]
    os.rename(roots[2], roots[2] + ".away")
    (tmp_path / "v2").write_text("in the way")
    with pytest.raises(VolumeError):
        opened(roots, missing=1)


def test_no_volume_takes_a_place_that_is_unclear(tmp_path):
    roots = paths(tmp_path, 3)
    opened(roots)
    os.rename(roots[1], roots[1] + ".away")
    (tmp_path / "v1").write_text("in the way")
    (tmp_path / "fresh").mkdir()
    for accept_loss in (False, True):
        with pytest.raises(VolumeError, match="unclear"):
            opened([roots[0], roots[1], str(tmp_path / "fresh")], missing=2, accept_loss=accept_loss)
    assert os.listdir(tmp_path / "fresh") == []


LOST = {
    "absent": lambda path: os.rename(path, path + ".away"),
    "empty": lambda path: (os.rename(path, path + ".away"), os.mkdir(path)),
}


@pytest.mark.parametrize("how", LOST)
def test_more_lost_volumes_than_parity_are_refused_with_a_flag_to_insist(tmp_path, how):  # case 165
    roots = paths(tmp_path, 3)
    first = opened(roots)
    for path in roots[1:]:
        LOST[how](path)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(VolumeError, match=r"2 of the 3 volumes are lost, but parity makes up for 1 only .*--acc"):
        opened(roots, missing=1)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    second = opened(roots, missing=1, accept_loss=True)
    assert second[0] == first[0]
    assert [identity.set for _, identity in second] == [first[0][1].set] * 3
    assert opened(roots, missing=1) == second


@pytest.mark.parametrize("missing", [0, 1])
def test_a_wrong_path_makes_nothing(tmp_path, missing):  # case 165
    roots = paths(tmp_path, 3)
    first = opened(roots)
    wrong = str(tmp_path / "v" / "typo")
    if missing:
        assert opened([*roots[:2], wrong], missing=1) == first[:2]
    else:
        with pytest.raises(VolumeError, match="typo does not exist"):
            opened([*roots[:2], wrong])
    assert sorted(os.listdir(tmp_path)) == ["v0", "v1", "v2"]


def test_a_set_that_is_refused_is_left_as_it_was(tmp_path):  # case 165
    roots, others = paths(tmp_path, 3), paths(tmp_path, 3, "other")
    opened(roots)
    opened(others)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    absent = str(tmp_path / "absent")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for wrong in (
        [*roots[:2], others[2]],
        [roots[0], roots[0], absent],
        [roots[0], others[0], absent],
        [absent, str(tmp_path / "full"), absent + "2"],
        [absent, absent + "2", "/"],
    ):
        with pytest.raises(VolumeError):
            opened(wrong, missing=1)
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", [".DS_Store", "lost+found", "._x", ".Trash-1000", ".Spotlight-V100", ".gitkeep", "Thumbs.db", ".snapshots"]
)
def test_what_desktops_and_file_systems_leave_makes_no_directory_full(tmp_path, name):
    roots = paths(tmp_path, 3)
    for root in roots[:2]:
        os.mkdir(root)
        os.mkdir(os.path.join(root, name))
    assert len(opened(roots)) == 3
    os.mkdir(os.path.join(roots[0], "x" + name))
    assert len(opened(roots)) == 3


@pytest.mark.parametrize("name", [".ssh", "@eaDir", "DS_Store", ".DS_Store.txt", "index.db"])
def test_other_names_make_a_directory_full(tmp_path, name):
    os.makedirs(tmp_path / "v" / name)
    with pytest.raises(VolumeError, match="holds other files"):
        opened([str(tmp_path / "v")])


@pytest.mark.parametrize("call", ["open", "mkdir", "makedirs"])
def test_a_refusal_names_the_user_who_needs_the_right(tmp_path, monkeypatch, call):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, call, refuse)
    message = (
        f"v cannot be a volume: Permission denied; the user with id {os.geteuid()} needs the right to read and wri"
    )
    with pytest.raises(VolumeError, match=message):
        opened([str(tmp_path / "v")])


@pytest.mark.parametrize("text", [b"", b"{}", b"[" * 5000, b'{"format":1,"checksum":"x","volume":null}', b"\xff"])
def test_a_damaged_identity_is_refused(tmp_path, text):
    opened([str(tmp_path / "v")])
    (tmp_path / "v/.s3ish/volume.json").write_bytes(text)
    with pytest.raises(VolumeError, match="damaged"):
        opened([str(tmp_path / "v")])
    assert (tmp_path / "v/.s3ish/volume.json").read_bytes() == text


def test_an_altered_identity_is_refused(tmp_path):
    opened([str(tmp_path / "v")])
    file = tmp_path / "v/.s3ish/volume.json"
    file.write_bytes(file.read_bytes().replace(b'"position": 0', b'"position": 1'))
    with pytest.raises(VolumeError, match="checksum"):
        opened([str(tmp_path / "v")])


def test_a_newer_identity_is_refused(tmp_path):  # case 146
    opened([str(tmp_path / "v")])
    text = encode(Identity("set", 0, 1, "id")).replace(b'"format": 1', b'"format": 2')
    (tmp_path / "v/.s3ish/volume.json").write_bytes(text)
    with pytest.raises(NewerFormat, match="format 2"):
        opened([str(tmp_path / "v")])


def test_a_crash_between_the_folder_and_the_identity_is_harmless(tmp_path):
    os.makedirs(tmp_path / "v/.s3ish")
    assert opened([str(tmp_path / "v")])[0][1].position == 0


def test_no_descriptor_is_left_behind(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    roots = paths(tmp_path, 3)
    opened(roots)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/y").write_text("")
    for wrong in ([*roots[:2], "/"], [*roots[:2], str(tmp_path / "x")], roots[:2]):
        with pytest.raises(VolumeError):
            opened(wrong)
    assert len(os.listdir("/proc/self/fd")) == before
