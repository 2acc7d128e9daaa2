"""Rules of what changes in place: tags, annotations, keys, restores."""

from tests.model.machine import PICKS, WAYS, Machine, has_versions
from tests.model.play import mapping, rule
from tests.model.state import ARCHIVE, DAY_NS, NAMED
from tests.objects.support import sample

NOTES = (
    "n",
    "m/ö",
)
SIZES = (
    1,
    49,
    50,
    51,
    700,
    1300,
)


class Changing(Machine):
    """See the module."""

    @rule(has_versions, pick=PICKS, by_id=WAYS, tags=mapping("abc", ("", "1", "é")))
    def put_tags(self, pick, by_id, tags):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        items = "".join(f"<Tag><Key>{tag}</Key><Value>{value}</Value></Tag>" for tag, value in tags.items())
        body = f"<Tagging><TagSet>{items}</TagSet></Tagging>".encode()
        done = self.ask("PUT", name, key, body, tagging="", versionId=version_id)
        assert done.code == refusal
        if not refusal:
            held.said.tags = tags

    @rule(has_versions, pick=PICKS, by_id=WAYS)
    def delete_tags(self, pick, by_id):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        assert self.ask("DELETE", name, key, tagging="", versionId=version_id).code == refusal
        if not refusal:
            held.said.tags = {}

    # --- annotations

    @rule(
        has_versions,
        pick=PICKS,
        by_id=WAYS,
        note=NOTES,
        size=SIZES,
        meant=(
            None,
            None,
            True,
            False,
        ),
    )
    def annotate(self, pick, by_id, note, size, meant):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        self.seed += 1
        text = sample(size, self.seed).hex().encode()
        done = self.ask(
            "PUT", name, key, text, self.if_meant(held, meant), annotation="", annotationName=note, versionId=version_id
        )
        refusal = refusal or self.refusal_of_note(held, note, meant, bypass=False)
        if not refusal and held.said.enc in ("c1", "c2"):
            refusal = "InvalidRequest"
        if meant is False and not held.marker:
            refusal = "PreconditionFailed"
        assert done.code == refusal
        if not refusal:
            held.notes[note] = text

    def if_meant(self, held, meant):
        """Return a condition on the object that an annotation is of."""
        return {"x-amz-object-if-match": None if meant is None else f'"{held.etag if meant else "other"}"'}

    def refusal_of_note(self, held, note, meant, *, bypass):
        """Return why an annotation cannot go."""
        if meant is False:
            return "PreconditionFailed"
        return "AccessDenied" if note in held.notes and held.kept(self.now, bypass=bypass) else ""

    @rule(
        has_versions,
        pick=PICKS,
        by_id=WAYS,
        note=NOTES,
        bypass=WAYS,
        meant=(
            None,
            None,
            True,
            False,
        ),
    )
    def remove_note(self, pick, by_id, note, bypass, meant):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        asked = self.if_meant(held, meant) | ({"x-amz-bypass-governance-retention": "true"} if bypass else {})
        done = self.ask("DELETE", name, key, headers=asked, annotation="", annotationName=note, versionId=version_id)
        if bypass and not self.model[name].locks:
            refusal = "InvalidArgument"
        refusal = refusal or self.refusal_of_note(held, note, meant, bypass=bypass)
        assert done.code == refusal
        if not refusal:
            held.notes.pop(note, None)

    # --- keys

    @rule(has_versions, pick=PICKS, by_id=WAYS, enc=tuple(NAMED))
    def change_the_key(self, pick, by_id, enc):
        """Have another named key seal the data keys of a version; not a byte of it changes, nor what is told of it."""
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        arn = f"<KMSKeyArn>{self.front.arns[enc]}</KMSKeyArn>"
        body = f"<ObjectEncryption><SSE-KMS>{arn}</SSE-KMS></ObjectEncryption>".encode()
        done = self.ask("PUT", name, key, body, encryption="", versionId=version_id)
        if not refusal and held.said.enc not in ("s3", *NAMED):
            refusal = "InvalidRequest"
        if not refusal and held.kept(self.now):
            refusal = "AccessDenied"
        assert done.code == refusal
        if not refusal:
            held.said.enc = enc

    # --- archives

    @rule(
        has_versions,
        pick=PICKS,
        by_id=WAYS,
        days=range(2 + 1),
        tier=(
            "Standard",
            "Expedited",
        ),
    )
    def restore(self, pick, by_id, days, tier):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        parameters = f"<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"
        body = f"<RestoreRequest><Days>{days}</Days>{parameters}</RestoreRequest>".encode()
        now = self.now
        done = self.ask("POST", name, key, body, restore="", versionId=version_id)
        if not refusal and held.said.storage != ARCHIVE:
            refusal = "InvalidObjectState"
        if not refusal and days < 1:
            refusal = "InvalidArgument"
        assert done.code == refusal
        if not refusal:
            assert done.status == (200 if now < held.restored else 202)
            held.restored = (now // DAY_NS + 1 + days) * DAY_NS
