"""What was encrypted and then changed is refused, under every kind of key: a thousand damages, from one seed."""

import base64
import itertools
import random

import pytest

from s3ish.blob.protocol import Corrupt
from s3ish.model import Link
from s3ish.objects.encodings import cipher, customer, named
from s3ish.objects.encodings.chain import Encodings, UnknownEncoding
from s3ish.objects.encodings.cipher import PACKAGE_BYTES, TAG_BYTES
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.encodings.named import NamedKey
from tests.objects.support import sample

KEY = b"one key of a client: 32 bytes it"
WIDTH = PACKAGE_BYTES + TAG_BYTES
SIZE = 3 * PACKAGE_BYTES + 1000
DAMAGES = 1200


@pytest.fixture(scope="module")
def encodings():
    numbers = itertools.count(1)

    def draw(count):
        return next(numbers).to_bytes(count, "big")

    key = NamedKey("key-1", {1: b"1" * 32, 2: b"2" * 32})
    return Encodings(
        {
            cipher.NAME: cipher.codec_of(Keyring([b"m" * 32], draw)),
            customer.NAME: customer.codec_of([KEY], draw),
            named.NAME: named.codec_of([key], draw),
        }
    )


def asked(kind):
    """Return the links of a new object of a kind; two objects of one key have different salts or contexts."""
    salts = itertools.count(100)
    master = Link(cipher.NAME, {})
    while True:
        number = next(salts)
        if kind == "customer":
            yield (customer.new_link(KEY, lambda count, number=number: number.to_bytes(count, "big")),)
        else:
            one = master if kind == "master" else named.link_to("key-1", f'{{"aws:s3:arn":"{number}"}}')
            yield (one, master) if kind == "two layers" else (one,)


class Stored:
    """An object that is stored: its data, its bytes on the drive, its links."""

    def __init__(self, encodings, links, data):
        encoders, stored = [], data
        for codec in encodings.chain(links)._codecs:
            encoders.append(encoder := codec.encoder(len(stored)))
            stored = b"".join(map(bytes, [*encoder.encode(stored), *encoder.finish()]))
        self.data, self.stored = data, stored
        self.links = tuple(
            Link(link.name, {**link.parameters, **encoder.parameters})
            for link, encoder in zip(links, encoders, strict=True)
        )

    @property
    def packages(self):
        return [self.stored[start : start + WIDTH] for start in range(0, len(self.stored), WIDTH)]


def read(encodings, stored, links, start=0, stop=SIZE):
    """Return what a range of what is stored says. Raises Corrupt, UnknownEncoding."""
    decoding = encodings.chain(links).decoding(start, stop, SIZE, len(stored))
    return decoding.of_bytes(stored[decoding.start : decoding.stop])


def flipped(data, choose):
    place = choose.randrange(len(data))
    return data[:place] + bytes((data[place] ^ (1 << choose.randrange(8)),)) + data[place + 1 :]


def damaged_links(links, choose):
    """Return links of which one parameter is another one."""
    number = choose.randrange(len(links))
    link = links[number]
    name = choose.choice(sorted(link.parameters))
    text = link.parameters[name]
    place = choose.randrange(len(text))
    other = choose.choice([letter for letter in "ABCabc012+/" if letter != text[place]])
    changed = Link(link.name, {**link.parameters, name: text[:place] + other + text[place + 1 :]})
    return (*links[:number], changed, *links[number + 1 :])


def damages(objects, choose):
    """Yield bytes and links that are not what was stored, and what was done to them."""
    one, other, older = objects
    while True:
        packages = one.packages
        first, second = choose.sample(range(len(packages) - 1), 2)
        yield "a bit flips", flipped(one.stored, choose), one.links
        yield "a parameter is changed", one.stored, damaged_links(one.links, choose)
        swapped = [*packages]
        swapped[first], swapped[second] = swapped[second], swapped[first]
        yield "packages are swapped", b"".join(swapped), one.links
        yield (
            "a package comes twice",
            b"".join([*packages[:first], packages[second], *packages[first + 1 :]]),
            one.links,
        )
        for kind, source in (("of another object", other), ("of an older object of the key", older)):
            foreign = [*packages[:first], source.packages[first], *packages[first + 1 :]]
            yield f"a package {kind}", b"".join(foreign), one.links
            yield f"all bytes {kind}", source.stored, one.links
            mixed = tuple(
                Link(mine.name, {**mine.parameters, "data-key": theirs.parameters["data-key"]})
                for mine, theirs in zip(one.links, source.links, strict=True)
            )
            yield f"a data key {kind}", one.stored, mixed
            if "context" in one.links[0].parameters:
                context = {"context": source.links[0].parameters["context"]}
                link = Link(one.links[0].name, {**one.links[0].parameters, **context})
                yield f"a context {kind}", one.stored, (link, *one.links[1:])
        cut = choose.randrange(1, 2000)
        yield "the end is missing", one.stored[:-cut], one.links
        yield "the end is missing, and its length is made up", one.stored[:-cut] + bytes(cut), one.links


@pytest.mark.parametrize("kind", ["master", "named", "customer", "two layers"])
def test_damages_are_refused(encodings, kind):
    choose, links = random.Random(kind), asked(kind)
    data = sample(SIZE)
    objects = [Stored(encodings, next(links), content) for content in (data, sample(SIZE, 2), data)]
    for each in objects:
        assert read(encodings, each.stored, each.links) == each.data
        assert encodings.chain(each.links).decode(each.stored, SIZE) == each.data
    seen = set()
    for what, stored, changed in itertools.islice(damages(objects, choose), DAMAGES // 4):
        with pytest.raises((Corrupt, UnknownEncoding)):
            read(encodings, stored, changed)
        with pytest.raises((Corrupt, UnknownEncoding)):
            encodings.chain(changed).decode(stored, SIZE)
        seen.add(what)
    assert len(seen) >= 12


def test_a_range_that_a_damage_does_not_touch_is_read(encodings):
    whole = Stored(encodings, next(asked("named")), sample(SIZE))
    stored = flipped(whole.stored[:WIDTH], random.Random(1)) + whole.stored[WIDTH:]
    start = PACKAGE_BYTES + 10
    assert read(encodings, stored, whole.links, start, start + 100) == whole.data[start : start + 100]


def test_no_key_and_no_digest_of_the_data_stands_in_a_link(encodings):
    for kind in ("named", "customer", "master"):
        links = Stored(encodings, next(asked(kind)), sample(SIZE)).links
        for secret in (KEY, b"m" * 32, b"1" * 32, b"2" * 32):
            for form in (secret, base64.b64encode(secret), secret.hex().encode()):
                assert form not in repr(links).encode()
