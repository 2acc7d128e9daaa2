"""Rules of reads: whole, in ranges, under conditions, with a key or without."""

from tests.model.machine import BUCKETS, KEYS, PICKS, WAYS, has_versions
from tests.model.play import rule
from tests.model.state import client_key
from tests.model.writing import Writing

POSITIONS = range(4000 + 1)


class Reading(Writing):
    """See the module."""

    @rule(
        has_versions,
        pick=PICKS,
        by_id=WAYS,
        way=(
            "whole",
            "range",
            "range",
            "range",
            "from",
            "last",
        ),
        first=POSITIONS,
        last=POSITIONS,
        enc=(
            "own",
            "own",
            "own",
            "own",
            "",
            "c1",
            "c2",
        ),
    )
    def get(self, pick, by_id, way, first, last, enc):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        enc = held.said.enc if enc == "own" else enc
        size = len(held.data)
        text, start, stop = {
            "whole": (None, 0, size),
            "range": (f"bytes={first}-{last}", first, min(last + 1, size)),
            "from": (f"bytes={first}-", first, size),
            "last": (f"bytes=-{last}", max(0, size - last), size),
        }[way]
        if way == "range" and last < first:
            way, start, stop = "whole", 0, size
        done = self.ask("GET", name, key, headers=client_key(enc) | {"range": text}, versionId=version_id)
        refusal = refusal or self.refusal_of_key(held, enc)
        if not refusal and way != "whole" and start >= stop:
            refusal = "InvalidRange"
        if not refusal and held.away(self.now):
            refusal = "InvalidObjectState"
        assert done.code == refusal
        if not refusal:
            assert (done.status, done.body) == (200 if way == "whole" else 206, held.data[start:stop])

    @rule(
        has_versions,
        pick=PICKS,
        kind=(
            "match",
            "other",
            "none",
            "none other",
            "since",
            "unmodified",
        ),
    )
    def get_if(self, pick, kind):
        name, key, held = self.pick(pick)
        header, value, status = {
            "match": ("if-match", f'"{held.etag}"', 200),
            "other": ("if-match", '"other"', 412),
            "none": ("if-none-match", f'"{held.etag}"', 304),
            "none other": ("if-none-match", '"other"', 200),
            "since": ("if-modified-since", held.modified, 304),
            "unmodified": ("if-unmodified-since", held.modified, 200),
        }[kind]
        if held.marker:
            return
        done = self.ask("HEAD", name, key, headers=client_key(held.said.enc) | {header: value}, versionId=held.id)
        assert done.status == status

    @rule(name=BUCKETS, key=KEYS)
    def get_what_is_not_there(self, name, key):
        bucket = self.model[name]
        assert self.ask("GET", name, key, versionId="a" * 24).code == "NoSuchVersion"
        if bucket.current(key) is None:
            assert self.ask("GET", name, key).code == "NoSuchKey"
