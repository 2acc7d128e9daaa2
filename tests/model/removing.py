"""Rules of what removes: deletes by name and by version, with conditions and past retention, and many at once."""

from xml.sax.saxutils import escape

from tests.model.machine import BUCKETS, KEYS, WAYS, Machine
from tests.model.play import each, mapping, rule
from tests.model.state import Held

GUARDS = (
    "",
    "",
    "",
    "",
    "match",
    "any",
    "other",
    "size",
    "other size",
    "time",
    "other time",
    "all",
)
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
VERSIONS = range(-1, 4)
BATCH = mapping(KEYS, each(VERSIONS, GUARDS))
"""Keys, each with which of its versions (-1: none by id), and a condition."""


def guards(kind, held):
    """Return the tag, size and time that a delete requires, and the error that they lead to."""
    there = held is not None and not held.marker
    tag = {"any": "*", "other": "other"}.get(kind) or (held.etag if there else "0") if kind else None
    size, time = (len(held.data), held.modified) if there else (7, LONG_AGO)
    right = {"size": (None, size, None), "time": (None, None, time), "all": (tag, size, time)}
    wrong = {"other size": (None, size + 1, None), "other time": (None, None, LONG_AGO)}
    asked = right.get(kind) or wrong.get(kind) or (tag, None, None)
    if not there:
        return asked, "NoSuchKey" if asked[0] is not None else ""
    return asked, "PreconditionFailed" if kind in wrong or kind == "other" else ""


class Removing(Machine):
    """See the module."""

    def removal(self, name, key, held, version_id, refusal, *, bypass):
        """Do to the model what a delete does; return its error, or what it says: version id and whether of a marker."""
        bucket = self.model[name]
        if refusal:
            return refusal
        if version_id is None and bucket.versioning:
            return None  # a new marker: its id is told
        if held is None:
            return version_id, False
        if held.kept(self.now, bypass=bypass):
            return "AccessDenied"
        bucket.drop(key, held)
        return version_id, held.marker

    @rule(name=BUCKETS, key=KEYS, which=VERSIONS, kind=GUARDS, bypass=WAYS)
    def delete(self, name, key, which, kind, bypass):
        held, version_id = self.chosen(name, key, which)
        (tag, size, time), refusal = guards(kind, held)
        asked = {"if-match": tag, "x-amz-if-match-size": size, "x-amz-if-match-last-modified-time": time}
        if bypass:
            asked["x-amz-bypass-governance-retention"] = "true"
        if bypass and not self.model[name].locks:
            refusal = "InvalidArgument"
        wanted = self.removal(name, key, held, version_id, refusal, bypass=bypass)
        done = self.ask("DELETE", name, key, headers=asked, versionId=version_id)
        told = done.headers.get("x-amz-version-id"), done.headers.get("x-amz-delete-marker") == "true"
        if wanted is None:
            assert (done.status, told[1]) == (204, True)
            self.model[name].add(key, Held(told[0], marker=True))
        else:
            assert (done.code or told) == wanted

    def chosen(self, name, key, which):
        """Return a version and its id: one of a key, or the newest with none; or an id that none has."""
        kept = self.model[name].keys.get(key, [])
        if which < 0:
            return self.model[name].newest(key), None
        return (kept[which], kept[which].id) if which < len(kept) else (None, "a" * 24)

    @rule(name=BUCKETS, wanted=BATCH, bypass=WAYS, quiet=WAYS)
    def delete_many(self, name, wanted, bypass, quiet):
        if not wanted:
            return
        bypass = bypass and self.model[name].locks
        items, outcomes = [], {}
        for key, (which, kind) in wanted.items():
            held, version_id = self.chosen(name, key, which)
            (tag, size, time), refusal = guards(kind, held)
            named = {"Key": key, "VersionId": version_id, "ETag": tag, "LastModifiedTime": time, "Size": size}
            texts = [f"<{part}>{escape(str(value))}</{part}>" for part, value in named.items() if value is not None]
            items.append(f"<Object>{''.join(texts)}</Object>")
            outcomes[key] = version_id, self.removal(name, key, held, version_id, refusal, bypass=bypass)
        body = f"<Delete>{''.join(items)}<Quiet>{str(quiet).lower()}</Quiet></Delete>".encode()
        asked = {"x-amz-bypass-governance-retention": "true"} if bypass else {}
        done = self.ask("POST", name, body=body, headers=asked, delete="")
        assert not done.code
        refused = {it.findtext("Key"): it.findtext("Code") for it in done.xml.iter("Error")}
        assert refused == {key: wanted for key, (_, wanted) in outcomes.items() if isinstance(wanted, str)}
        told = {it.findtext("Key"): it for it in done.xml.iter("Deleted")}
        assert set(told) == (set() if quiet else set(outcomes) - set(refused))
        for key, (version_id, wanted) in outcomes.items():
            if wanted is None:
                self.marked(name, key, told.get(key))
            elif key in told:
                assert told[key].findtext("VersionId") == version_id
                assert (told[key].findtext("DeleteMarker") == "true") == wanted[1]

    def marked(self, name, key, told):
        """Note a new marker of a batch. A quiet answer does not tell its id, a listing does."""
        if told is None:
            page = self.ask("GET", name, versions="", prefix=key, max_keys="1").xml
            version_id = page.findtext("DeleteMarker/VersionId")
        else:
            assert told.findtext("DeleteMarker") == "true"
            version_id = told.findtext("DeleteMarkerVersionId")
        self.model[name].add(key, Held(version_id, marker=True))
