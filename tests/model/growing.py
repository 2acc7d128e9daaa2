"""Rules of appends and renames, which buckets know that never had versions."""

from tests.model.machine import ENCRYPTIONS, KEYS, PICKS, SIZES, Machine, has_versions, http_date
from tests.model.play import rule
from tests.model.state import ARCHIVE, DAY_NS, Said, encryption
from tests.model.writing import CONDITIONS, Writing, conditions
from tests.objects.support import md5

EARLY = http_date(0)
CHECKS = (
    "",
    "",
    "",
    "match",
    "other",
    "none",
    "none other",
    "since",
    "unmodified since",
)
TOKENS = (
    None,
    None,
    "t1",
    "t2",
)


class Growing(Writing, Machine):
    """See the module."""

    def __init__(self):
        super().__init__()
        self.tokens = {}

    def forget(self):
        """Forget tokens: they stand in the index alone."""
        super().forget()
        self.tokens.clear()

    @rule(
        name=("never", "never", "never", "often"),
        key=KEYS,
        size=SIZES,
        off=(
            0,
            0,
            0,
            0,
            1,
        ),
        kind=CONDITIONS,
        under=(
            "same",
            "same",
            "same",
            "other",
        ),
        enc=ENCRYPTIONS,
    )
    def append(self, name, key, size, off, kind, under, enc):
        bucket, data = self.model[name], self.fresh(size)
        newest = bucket.newest(key)
        enc = newest.said.enc if newest and under == "same" else enc
        given, unmet = conditions(kind, bucket.current(key))
        asked = encryption(enc) | given | {"x-amz-write-offset-bytes": (len(newest.data) if newest else 0) + off}
        done = self.ask("PUT", name, key, data, asked)
        if bucket.versioning:
            assert done.code == "InvalidBucketState"
        elif off:
            assert done.code == "InvalidWriteOffset"
        elif newest is None:
            self.made_first(name, key, data, Said(enc=enc), done, unmet)
        else:
            self.appended(name, key, newest, data, enc, done, unmet)

    def made_first(self, name, key, data, said, done, unmet):
        """An append to what is not there makes an object."""
        assert done.code == unmet
        if not unmet:
            self.made(name, key, data, said, done, etag=md5(data) if said.enc in ("", "s3") else None)

    def appended(self, name, key, held, data, enc, done, unmet):
        refusal = self.refusal_of_append(held, enc)
        if refusal or unmet:
            assert done.code == (refusal or unmet)
            return
        assert not done.code
        assert (done.etag == held.etag) == (not data)
        held.data, held.etag = held.data + data, done.etag
        held.modified = held.modified if not data else ""
        self.run(self.compare_version(name, key, held))

    def refusal_of_append(self, held, enc):
        """Return why nothing can be appended to an object as a request wants it encrypted."""
        clients = ("c1", "c2")
        if enc and enc not in clients and enc != held.said.enc:
            return "EncryptionTypeMismatch"
        if held.said.storage == ARCHIVE:
            return "InvalidObjectState"
        if (enc in clients) != (held.said.enc in clients):
            return "EncryptionTypeMismatch"
        return self.refusal_of_key(held, enc)

    @rule(has_versions, pick=PICKS, key=KEYS, of_source=CHECKS, of_other=CHECKS, token=TOKENS)
    def rename(self, pick, key, of_source, of_other, token):
        name, source, held = self.pick(pick)
        bucket = self.model[name]
        there = bucket.newest(key)
        of_source, unmet = self.checks(of_source, bucket.newest(source), "x-amz-rename-source-")
        of_other, also_unmet = self.checks(of_other, there, "")
        asked = of_source | of_other | {"x-amz-rename-source": self.source(name, source, None).partition("/")[2]}
        request, day = (name, source, key, *sorted((of_source | of_other).items())), self.now // DAY_NS
        done = self.ask("PUT", name, key, headers=asked | {"x-amz-client-token": token}, renameObject="")
        if source == key:
            assert done.code == "InvalidRequest"
            return
        if token and day - self.tokens.get(token, (None, -9))[1] <= 1:
            assert done.code == ("" if self.tokens[token][0] == request else "IdempotencyParameterMismatch")
            return
        if bucket.versioning:
            assert done.code == "InvalidBucketState"
            return
        assert done.code == (unmet or also_unmet)
        if not done.code:
            bucket.drop(source, held)
            bucket.keys[key] = [held]
            self.tokens |= {token: (request, day)} if token else {}

    def checks(self, kind, held, prefix):
        """Return one of four preconditions of a rename as a header, and whether it holds."""
        etag, modified = (held.etag, held.modified) if held and not held.marker else ("0", EARLY)
        header, value = {
            "": ("if-match", None),
            "match": ("if-match", f'"{etag}"'),
            "other": ("if-match", '"other"'),
            "none": ("if-none-match", "*"),
            "none other": ("if-none-match", '"other"'),
            "since": ("if-modified-since", modified),
            "unmodified since": ("if-unmodified-since", EARLY),
        }[kind]
        if kind == "" or (held is None and kind not in ("match", "other", "since")):
            return {prefix + header: value}, ""
        return {prefix + header: value}, "" if held and kind in ("match", "none other") else "PreconditionFailed"
