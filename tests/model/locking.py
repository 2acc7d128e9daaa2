"""Rules of locks: the configuration of a bucket, retention and legal hold of versions."""

from tests.model.machine import PICKS, WAYS, Machine, has_versions
from tests.model.play import rule
from tests.model.state import Lock, iso

MODES = (
    "GOVERNANCE",
    "GOVERNANCE",
    "COMPLIANCE",
)


class Locking(Machine):
    """See the module."""

    @rule(
        name=(
            "never",
            "often",
            "locked",
            "locked",
        ),
        mode=MODES,
        days=range(2 + 1),
    )
    def set_locks(self, name, mode, days):
        """Let objects of a bucket be locked, with a retention by default or without."""
        bucket = self.model[name]
        retention = f"<Rule><DefaultRetention><Mode>{mode}</Mode><Days>{days}</Days></DefaultRetention></Rule>"
        rules = retention if days else ""
        body = (
            f"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rules}</ObjectLockConfiguration>"
        )
        done = self.ask("PUT", name, body=body.encode(), object_lock="")
        if bucket.versioning != "Enabled":
            assert done.code == "InvalidBucketState"
            return
        assert not done.code
        bucket.locks, bucket.default = True, (mode, days) if days else None

    @rule(
        has_versions,
        pick=PICKS,
        by_id=WAYS,
        mode=(
            "",
            "GOVERNANCE",
            "COMPLIANCE",
        ),
        half_days=range(1, 6 + 1),
        bypass=WAYS,
    )
    def retain(self, pick, by_id, mode, half_days, bypass):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        until = self.later(half_days) if mode else 0
        wanted = f"<Mode>{mode}</Mode><RetainUntilDate>{iso(until)}</RetainUntilDate>" if mode else ""
        asked = {"x-amz-bypass-governance-retention": "true"} if bypass else {}
        body = f"<Retention>{wanted}</Retention>".encode()
        done = self.ask("PUT", name, key, body, asked, retention="", versionId=version_id)
        if not self.model[name].locks:
            assert done.code == "InvalidRequest"
        elif refusal or self.is_bound(held.said.lock, mode, until, bypass=bypass):
            assert done.code == (refusal or "AccessDenied")
        else:
            assert not done.code
            held.said.lock = held.said.lock or Lock()
            held.said.lock.mode, held.said.lock.until = mode, until

    def is_bound(self, lock, mode, until, *, bypass):
        """Tell whether a retention may not become another one."""
        if lock is None or not lock.retains(self.now):
            return False
        looser = mode != lock.mode or until < lock.until
        return looser and (lock.mode == "COMPLIANCE" or not bypass)

    @rule(has_versions, pick=PICKS, by_id=WAYS, on=WAYS)
    def hold(self, pick, by_id, on):
        name, key, held = self.pick(pick)
        version_id, refusal = self.named(name, key, held, by_id)
        body = f"<LegalHold><Status>{'ON' if on else 'OFF'}</Status></LegalHold>".encode()
        done = self.ask("PUT", name, key, body, legal_hold="", versionId=version_id)
        if not self.model[name].locks:
            assert done.code == "InvalidRequest"
            return
        assert done.code == refusal
        if not refusal:
            held.said.lock = held.said.lock or Lock()
            held.said.lock.hold = on
