"""Writes a sample of what is stored under each kind of key, with its links: what was encrypted once stays readable.

Run as ``python -m tests.formats.make_encrypted`` where a new kind comes. Samples that are there are not made again.
"""

import base64
import hashlib
import json
from pathlib import Path

import msgspec

from s3ish.model import Link
from s3ish.objects.encodings import cipher, customer, named
from s3ish.objects.encodings.chain import Encodings
from s3ish.objects.encodings.keyring import Keyring
from s3ish.objects.encodings.named import NamedKey
from s3ish.objects.named_keys import KeyDocument, Material

FILE = Path(__file__).parent / "encrypted.json"
KEYS = {"master": b"m" * 32, "client": b"c" * 32, "material": b"n" * 32}
KEY_ID = "0d8f1c32-6a3b-4f0e-9a55-0c7d2f1f7a10"
BOUND = b"s3ish material of a named key 1\0" + KEY_ID.encode()
DATA = hashlib.shake_128(b"s3ish").digest(100)


class _Drawn:
    """Random bytes that are the same in every run."""

    def __init__(self):
        self._count = 0

    def __call__(self, count):
        self._count += 1
        return hashlib.shake_128(b"%d" % self._count).digest(count)


def encodings(draw=None):
    """Return the encodings with all keys of the samples."""
    draw = draw or _Drawn()
    key = NamedKey(KEY_ID, {1: b"o" * 32, 2: KEYS["material"]})
    return Encodings(
        {
            cipher.NAME: cipher.codec_of(Keyring([KEYS["master"]], draw)),
            customer.NAME: customer.codec_of([KEYS["client"]], draw),
            named.NAME: named.codec_of([key], draw),
        }
    )


def main():
    """Write the samples that are not there yet."""
    draw = _Drawn()
    found = json.loads(FILE.read_text()) if FILE.exists() else {"objects": {}}
    context = named.link_to(KEY_ID, '{"aws:s3:arn":"arn:aws:s3:::bucket/key","team":"billing"}')
    kinds = {
        "master": (Link(cipher.NAME, {}),),
        "client": (customer.new_link(KEYS["client"], draw),),
        "named": (context,),
        "two layers": (context, Link(cipher.NAME, {})),
    }
    for kind, links in kinds.items():
        if kind in found["objects"]:
            continue
        stored, told = DATA, []
        for link in links:
            encoder = encodings(draw).chain((link,))._codecs[0].encoder(len(stored))
            stored = b"".join(map(bytes, [*encoder.encode(stored), *encoder.finish()]))
            told.append({"name": link.name, "parameters": {**link.parameters, **encoder.parameters}})
        found["objects"][kind] = {
            "links": told,
            "stored": base64.b64encode(stored).decode(),
        }
    if "key" not in found:
        sealed = dict(Keyring([KEYS["master"]], draw).wrap(KEYS["material"], BOUND))
        document = KeyDocument(KEY_ID, (Material(1, 1_796_000_000_000_000_000, sealed),), "Disabled", "of the samples")
        found["key"] = msgspec.json.encode(document).decode()
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
