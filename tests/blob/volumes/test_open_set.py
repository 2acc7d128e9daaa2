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


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("twin", ["v0", "./v0", "v1/../v0", "link/v0"])
def test_a_directory_that_is_given_twice_is_refused_and_left_as_it_was(tmp_path, monkeypatch, there, twin):
    monkeypatch.chdir(tmp_path)
    os.symlink(".", "link")
    os.mkdir("v1")
    if there:
        os.mkdir("v0")
    with pytest.raises(VolumeError, match=rf"^{twin} and v0 are the same directory; give each volume once$"):
        opened(["v0", "v1", twin])
    assert {path.name for path in tmp_path.rglob("*")} == {"link", "v1", *(["v0"] if there else [])}


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
        [*others[:2], roots[2], absent],
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


FILES = (".s3ish/volume.json", ".s3ish/volume.json.copy")
DAMAGED = [
    b"",
    b"{}",
    b"[" * 5000,
    b'{"format":1,"checksum":"x","volume":null}',
    b"\xff",
    encode(Identity("set", 0, 1, "id")).replace(b'"position": 0', b'"position": 1'),
]


@pytest.mark.parametrize("text", DAMAGED)
@pytest.mark.parametrize("name", FILES)
def test_one_of_the_two_files_is_enough(tmp_path, name, text):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    damaged = tmp_path / "v1" / name
    whole = damaged.read_bytes()
    damaged.write_bytes(text)
    assert opened(roots, create=False) == first
    assert damaged.read_bytes() == text, "only who may make volumes writes"
    assert opened(roots) == first
    assert damaged.read_bytes() == whole
    damaged.unlink()
    assert opened(roots) == first
    assert damaged.read_bytes() == whole


@pytest.mark.parametrize("text", DAMAGED)
def test_an_identity_that_is_damaged_twice_takes_that_volume_alone(tmp_path, text):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    for name in FILES:
        (tmp_path / "v1" / name).write_bytes(text)
    with pytest.raises(VolumeError, match=r"v1/.s3ish/volume.json is damaged: .*Run: s3ish heal"):
        opened(roots)
    assert opened(roots, missing=1) == [first[0], first[2]]
    for name in FILES:
        assert (tmp_path / "v1" / name).read_bytes() == text


@pytest.mark.parametrize("name", FILES)
def test_what_is_planted_for_an_identity_is_replaced(tmp_path, name):  # cases 159, 164
    roots = paths(tmp_path, 3)
    first = opened(roots)
    file, elsewhere = tmp_path / "v1" / name, tmp_path / "elsewhere"
    elsewhere.write_bytes(encode(Identity("set", 0, 3, "id")))
    for plant in (lambda: file.symlink_to(elsewhere), lambda: os.mkfifo(file), file.mkdir):
        file.unlink()
        plant()
        assert opened(roots) == first
        assert file.is_file()
        assert not file.is_symlink()
    assert elsewhere.exists()


def test_every_flipped_bit_of_an_identity_costs_nothing(tmp_path):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    for name in FILES:
        file = tmp_path / "v2" / name
        text = file.read_bytes()
        for at in range(len(text)):
            damaged = bytearray(text)
            damaged[at] ^= 1 << at % 8
            file.write_bytes(damaged)
            assert opened(roots, create=False) == first
        file.write_bytes(text)


def test_a_damaged_format_of_one_file_is_no_newer_release(tmp_path):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    for name in FILES:
        file = tmp_path / "v2" / name
        text = file.read_bytes()
        file.write_bytes(text.replace(b'"format": 1', b'"format": 9'))
        assert opened(roots) == first
        assert file.read_bytes() == text


def at(*positions):
    """Return what tells from the names of the roots where they are, and nothing of the others."""
    found = {f"v{position}": frozenset([position]) for position in positions}
    return lambda volume: found.get(os.path.basename(volume.root))


def swap(tmp_path, names=FILES[:1]):
    for name in names:
        one, other = tmp_path / "v0" / name, tmp_path / "v1" / name
        texts = one.read_bytes(), other.read_bytes()
        other.write_bytes(texts[0])
        one.write_bytes(texts[1])


@pytest.mark.parametrize("name", FILES)
def test_files_that_were_swapped_between_volumes_are_recognised(tmp_path, name):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    swap(tmp_path, [name])
    with pytest.raises(VolumeError, match=r"v0: .*say different things"):
        opened(roots)
    assert opened(roots, evidence=at(0, 1, 2)) == first
    assert opened(roots) == first, "both files are right again"


def test_an_identity_that_was_replaced_by_that_of_another_volume(tmp_path):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    for name in FILES:
        (tmp_path / "v1" / name).write_bytes((tmp_path / "v0" / name).read_bytes())
    with pytest.raises(VolumeError, match=r"v1 and .*v0 are the same volume or copies of it"):
        opened(roots, missing=1)
    assert opened(roots, missing=1, evidence=at(0, 1, 2)) == [first[0], first[2]]
    (_, identity) = opened(roots, evidence=at(0, 1, 2), restore=True)[1]
    assert (identity.set, identity.position) == (first[1][1].set, 1)
    assert opened(roots)[1][1] == identity


@pytest.mark.parametrize("copies", [1, 2])
def test_an_identity_that_was_replaced_by_that_of_another_set(tmp_path, copies):  # case 159
    roots = paths(tmp_path, 3)
    first = opened(roots)
    opened([str(tmp_path / "other")])
    for name in FILES[:copies]:
        (tmp_path / "v1" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    reason = "v1 belongs to another set of volumes than the others" if copies == 2 else "v1: .*say different things"
    with pytest.raises(VolumeError, match=reason):
        opened(roots)
    assert opened(roots, missing=1) == [first[0], first[2]]
    healed = opened(roots, evidence=at(0, 1, 2), restore=True)
    assert [identity.position for _, identity in healed] == [0, 1, 2]
    assert opened(roots) == healed


def lose_identity(root):
    for name in FILES:
        os.unlink(f"{root}/{name}")


@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_identity_is_given_back_by_a_heal(tmp_path, count):  # case 159
    roots = paths(tmp_path, count)
    first = opened(roots)
    os.makedirs(roots[-1] + "/bucket/key@abc")
    lose_identity(roots[-1])
    evidence = at(*range(count))
    with pytest.raises(VolumeError, match=r"has lost what says which volume it is. Run: s3ish heal"):
        opened(roots, evidence=evidence)
    if count > 1:
        assert opened(roots, evidence=evidence, missing=1) == first[:-1]
    known = {"known_set": first[0][1].set}
    with_open = open_volumes(roots, clock=Clock(), evidence=evidence, restore=True, **known)
    assert with_open.restored == (roots[-1],)
    with_open.close()
    healed = opened(roots)
    assert [(root, identity.set, identity.position) for root, identity in healed] == [
        (root, identity.set, identity.position) for root, identity in first
    ]


def test_no_identity_is_given_to_what_is_not_beyond_doubt(tmp_path):  # case 159
    roots = paths(tmp_path, 3)
    opened(roots)
    lose_identity(roots[1])
    (tmp_path / "v1" / "letters").mkdir()
    with pytest.raises(VolumeError, match="other files"):
        opened(roots, restore=True)
    with pytest.raises(VolumeError, match="has lost"):  # what lies on it belongs to another place
        opened(roots, restore=True, evidence=lambda volume: frozenset([2]) if volume.root == roots[1] else None)


def test_the_reasons_are_kept(tmp_path):  # case 159
    roots = paths(tmp_path, 3)
    opened(roots)
    for name in FILES:
        (tmp_path / "v1" / name).write_bytes(b"damaged")
    volumes = open_volumes(roots, clock=Clock(), missing=1)
    (reason,) = volumes.reasons
    assert "v1" in reason
    volumes.close()


def test_a_newer_identity_is_refused(tmp_path):  # case 146
    opened([str(tmp_path / "v")])
    text = encode(Identity("set", 0, 1, "id")).replace(b'"format": 1', b'"format": 2')
    for name in FILES:
        (tmp_path / "v" / name).write_bytes(text)
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
