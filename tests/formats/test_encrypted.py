"""What was encrypted once, under each kind of key, is read by this release; so is the record of a named key."""

import base64
import json

import msgspec
import pytest

from s3ish.model import Link
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.named_keys import KeyDocument
from tests.formats.make_encrypted import BOUND, DATA, FILE, KEY_ID, KEYS, encodings

SAMPLES = json.loads(FILE.read_text())


@pytest.mark.parametrize("kind", SAMPLES["objects"])
def test_what_was_stored_is_read(kind):
    sample = SAMPLES["objects"][kind]
    links = tuple(Link(it["name"], it["parameters"]) for it in sample["links"])
    stored = base64.b64decode(sample["stored"])
    chain = encodings().chain(links)
    for start, stop in ((0, len(DATA)), (10, 20)):
        decoding = chain.decoding(start, stop, len(DATA), len(stored))
        assert decoding.of_bytes(stored[decoding.start : decoding.stop]) == DATA[start:stop]


def test_the_record_of_a_key_says_what_it_said():
    document = msgspec.json.decode(SAMPLES["key"], type=KeyDocument)
    (material,) = document.materials
    assert (document.id, document.state, document.description) == (KEY_ID, "Disabled", "of the samples")
    assert Keyring([KEYS["master"]], bytes).open(material.sealed, BOUND) == KEYS["material"]
    assert msgspec.json.encode(document).decode() == SAMPLES["key"], "it is still written so"


def test_each_kind_of_link_has_a_sample():
    names = {link["name"] for sample in SAMPLES["objects"].values() for link in sample["links"]}
    assert all(encodings().knows(name) for name in names)
    assert len(names) == 3
