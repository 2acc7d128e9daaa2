"""The escaping of homes into directories, and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3ish.blob.paths import Past, home_of, maker_of, mint

TOKEN = "abcdefghijklmnop"

READABLE = {
    "photos/2024/summer.jpg": "photos/2024/summer.jpg@" + TOKEN,
    "photos/Ferien/München 日本.jpg": "photos/Ferien/München 日本.jpg@" + TOKEN,
    "photos": "photos/@" + TOKEN,
    "b/a": "b/a@" + TOKEN,
    "b/a/": "b/a/@" + TOKEN,
    "b/a//b": "b/a/%2Fb@" + TOKEN,
    "b//": "b/%2F@" + TOKEN,
    "b/..": "b/%2E.@" + TOKEN,
    "b/./x": "b/%2E/x@" + TOKEN,
    "b/../../etc/passwd": "b/%2E./%2E./etc/passwd@" + TOKEN,
    "b/.s3ish/volume.json": "b/%2Es3ish/volume.json@" + TOKEN,
    "b/me@home%2F": "b/me%40home%252F@" + TOKEN,
    "b/line\nfeed\x7f\x00": "b/line%0Afeed%7F%00@" + TOKEN,
    "b/rtl\u202e": "b/rtl%E2%80%AE@" + TOKEN,
    "b/c:\\..\\x*?\"'": "b/c:\\..\\x*?\"'@" + TOKEN,
    "b/metadata.json": "b/metadata.json@" + TOKEN,
    "b/data.0/data.0": "b/data.0/data.0@" + TOKEN,
}


@pytest.mark.parametrize("home", READABLE)
def test_an_operator_finds_an_object_by_looking(home):  # cases 30 to 34, 37, 41 to 43
    assert mint(home, TOKEN) == READABLE[home]
    assert home_of(READABLE[home]) == home


HARD = [
    "b/" + "/" * 1024,
    "b/" + "." * 1024,
    "b/" + "\x01" * 1024,
    "b/" + "%" * 1024,
    "b/" + "\U0001f600" * 256,
    "b/" + "\U000e0001" * 256,
    "b/" + "x" * 300 + "/y",
    "b/" + "x" * 200,
    "b/" + "x" * 199 + ".",
    "b/" + "x" * 200 + "." + "x" * 199 + "..",
    "b/" + "é" * 100 + "%+/",
    "b/" + "a/" * 512,
    "b/" + "./" * 512,
    "b/" + "a//" * 340,
    "b/\ud800",
    "b/%2F", "b/%+", "b/%+/x", "b/@", "b/@/@", "b/" + "a@" * 400,
]  # fmt: skip


@pytest.mark.parametrize("home", HARD, ids=range(len(HARD)))
def test_hard_homes(home):  # case 36
    check(home)


def test_composed_and_decomposed_characters_stay_apart():  # case 37
    assert mint("b/\u00e9", TOKEN) != mint("b/e\u0301", TOKEN)


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("/.%@+"))).map(lambda key: "b/" + key[:200]))
@example("b/")
def test_any_home(home):
    check(home)


def check(home):
    blob = mint(home, TOKEN)
    assert home_of(blob) == (home if home != "b/" else "b")
    path = blob.encode()
    assert len(path) < 4000
    *folders, last = path.split(b"/")
    for component in [*folders, last]:
        assert 0 < len(component) <= 230
        assert not component.startswith(b".")
        assert not any(byte < 32 or byte == 127 for byte in component)
    assert all(b"@" not in folder for folder in folders)
    assert last.count(b"@") == 1
    assert last.endswith(b"@" + TOKEN.encode())
    assert blob.split("/")[0] == "b" or not home.startswith("b/")


@given(st.text(alphabet="a/.%@+2Fé\x00", max_size=12), st.text(alphabet="a/.%@+2Fé\x00", max_size=12))
def test_different_homes_have_different_directories(one, other):
    same = {one, other} <= {"b", "b/"} or one == other
    assert (mint("b/" + one, TOKEN) == mint("b/" + other, TOKEN)) == same


def test_what_a_process_made_is_known_by_its_mark():
    mark = "m" * 8
    for name in (mint("b/a.b@c", mark + TOKEN), f".data.0.{mark}{TOKEN}", f".metadata.json.{mark}{TOKEN}"):
        assert maker_of(name) == mark
        assert Past(5, frozenset({mark})).holds(name, 9)
        assert not Past(5, frozenset({"n" * 8})).holds(name, 9)
        assert Past(5).holds(name, 4)
    for name in (mint("b/k", TOKEN), ".data.0.token", "b/planted@", "b/planted@x.y"):
        assert maker_of(name) == ""
