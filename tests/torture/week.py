"""A week of lifecycle rules, replication and notifications beside other traffic, against a dictionary; days are short.

``python -m tests.torture.week --minutes 10`` lets seven days pass in so many minutes. One client works in a bucket
whose rules expire, move and replicate objects, and which notifies a file; one restores objects (``thaw.py``); others
do everything at random (``player.py``). Whenever nobody writes, all versions are compared: what is gone was due, what
is due is gone. The server is stopped and killed in between. In the end each change and each moment of a restore has its
event, each version one replica, and a check finds nothing.
"""

import base64
import hashlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.torture import thaw
from tests.torture.client import Client
from tests.torture.endurance import BUCKETS, Host, main_of
from tests.torture.linear import prepare, unhandled
from tests.torture.player import Player, digest_of
from tests.torture.powercut import IN_MEMORY

DAYS = 7
BUCKET, MIRROR = "kept", "mirror"
ARN = "arn:s3ish:sqs:us-east-1:1:week:file"
EXPIRES, NONCURRENT, MOVES = 2, 1, 1
"""After how many days objects below ``old/`` expire and go for good, and those below ``cold/`` move."""
KEYS = [f"{prefix}/{number}" for prefix, count in (("old", 30), ("cold", 20), ("new", 10)) for number in range(count)]
LEAST_MOVED = 128 * 1024
"""Smaller objects stay where they are, unless a rule says how large they must be."""
MOST_VERSIONS = 6
OPERATIONS_A_DAY = 600
"""At most: each key is written every other day or so, so that most of them live to see the rules."""
SLACK_DAYS, SLACK_SECONDS = 1.5, 8
"""How long after the moment from which something may go it must be gone: the longer of both."""
PATIENCE_SECONDS = 60
_XML = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DOCUMENTS = {
    "lifecycle": f"""<LifecycleConfiguration {_XML}>
        <Rule><ID>old</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status>
            <Expiration><Days>{EXPIRES}</Days></Expiration><NoncurrentVersionExpiration>
            <NoncurrentDays>{NONCURRENT}</NoncurrentDays></NoncurrentVersionExpiration></Rule>
        <Rule><ID>markers</ID><Filter><Prefix>old/</Prefix></Filter><Status>Enabled</Status>
            <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
        <Rule><ID>cold</ID><Filter><Prefix>cold/</Prefix></Filter><Status>Enabled</Status>
            <Transition><Days>{MOVES}</Days><StorageClass>GLACIER_IR</StorageClass></Transition></Rule>
        </LifecycleConfiguration>""",
    "replication": f"""<ReplicationConfiguration {_XML}><Role>arn:aws:iam::000000000000:role/r</Role><Rule>
        <Priority>1</Priority><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>
        <DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication>
        <Destination><Bucket>arn:aws:s3:::{MIRROR}</Bucket></Destination></Rule></ReplicationConfiguration>""",
    "notification": f"""<NotificationConfiguration {_XML}><QueueConfiguration><Id>i</Id><Queue>{ARN}</Queue>
        <Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event><Event>s3:LifecycleExpiration:*</Event>
        </QueueConfiguration></NotificationConfiguration>""",
}
VERSIONING = f"<VersioningConfiguration {_XML}><Status>Enabled</Status></VersioningConfiguration>"


@dataclass
class Known:
    """A version or delete marker: when it was made, between two moments, and whether the client made it."""

    id: str
    began: float
    ended: float
    digest: str = ""
    size: int = 0
    marker: bool = False
    own: bool = True


def order_of(version_id):
    """Return a number that is greater for what was made later."""
    return base64.b32decode(version_id, casefold=True)


class Keeper:
    """The client of the bucket with the rules, and all that it knows: versions by key, the newest first.

    Args:
        seed: of what it does.
        day: how long a day is, in seconds.
        slack_seconds: see ``SLACK_SECONDS``.
    """

    def __init__(self, seed, day, slack_seconds=SLACK_SECONDS):
        self.choose, self.day, self.slack_seconds = random.Random(f"{seed}/keeper"), day, slack_seconds
        self.known = {key: [] for key in KEYS}
        self.made, self.gone, self.expired = {}, set(), set()
        self.uncovered = dict.fromkeys(KEYS, 0)
        self.wrong, self.counts = [], Counter()
        self.client = None

    def play(self, endpoint, until):
        """Do operations until a moment, at a pace that leaves most versions to the rules."""
        self.client = Client(endpoint, 60)
        moves = [self.get] * 40 + [self.put] * 2 + [self.delete, self.delete_version]
        try:
            if not self.made:
                self.put(KEYS[0])  # however slow the machine is, there is something for the rules
            while time.monotonic() < until and not self.wrong:
                move = self.choose.choice(moves)
                move(self.choose.choice(KEYS))
                self.counts[move.__name__] += 1
                time.sleep(self.day / OPERATIONS_A_DAY)
        except BaseException as error:  # a thread must not end in silence
            self.wrong.append(f"{BUCKET}: {error!r}")
            raise
        finally:
            self.client.close()

    # --- operations

    def put(self, key):
        data = self.choose.randbytes(self.choose.choice((0, 5000, 200_000, 300_000)))
        self._add(key, *self._ask("PUT", key, data), digest=digest_of(data), size=len(data))

    def delete(self, key):
        self._add(key, *self._ask("DELETE", key), marker=True)

    def delete_version(self, key):
        held = self.known[key]
        while len(held) > MOST_VERSIONS or (held and self.choose.random() < 0.3):
            version = held.pop(self.choose.randrange(len(held)))
            self._ask("DELETE", f"{key}?versionId={version.id}")
            self.gone.add((key, version.id))
            self.uncovered[key] = time.time()

    def get(self, key):
        began, ended, answer = self._ask("GET", key)
        newest = self.known[key][0] if self.known[key] else None
        if newest is None or newest.marker:
            self._require(answer.status == 404, f"GET {key}: {answer.status} for what is not there")
        elif answer.status == 404:
            self._require(self._may_expire(key, newest, ended), f"GET {key}: {newest.id} is gone early")
        else:
            self._require(digest_of(answer.body) == newest.digest, f"GET {key}: other bytes than were put, {began}")

    # --- comparing

    def look(self, endpoint):
        """Compare all versions with what is known, and with what the rules may have done and must have done."""
        self.client = Client(endpoint, 60)
        now = time.time()
        listed = self.listed(BUCKET)
        for key in KEYS:
            self._compare(key, listed.get(key, {}), now)
        self.client.close()

    def listed(self, bucket):
        """Return what a bucket holds: by key and id whether it is a marker, its class and its ETag."""
        found, path = {}, f"/{bucket}?versions"
        text = self.client.request("GET", path).body.decode()
        self._require("<IsTruncated>false" in text, f"GET {path}: {text[:300]}")
        for kind, body in re.findall(r"<(Version|DeleteMarker)>(.*?)</\1>", text):
            fields = dict(re.findall(r"<(\w+)>([^<]*)<", body))
            held = found.setdefault(fields["Key"], {})
            self._require(fields["VersionId"] not in held, f"{fields['Key']} {fields['VersionId']} is there twice")
            held[fields["VersionId"]] = kind, fields.get("StorageClass", ""), fields.get("ETag", "")
        return found

    def _compare(self, key, there, now):
        known = {version.id: version for version in self.known[key]}
        for version_id, (kind, *_) in there.items():
            if version_id not in known:
                self._require(kind == "DeleteMarker" and key.startswith("old/"), f"{key}: what is {version_id}?")
                known[version_id] = Known(version_id, now - self.day, now, marker=True, own=False)
                self.made[key, version_id] = known[version_id]
                self.expired.add((key, version_id))
                self.counts["markers by rules"] += 1
        held = sorted(known.values(), key=lambda version: order_of(version.id), reverse=True)
        for number, version in enumerate(held):
            newer = held[number - 1] if number else None
            if newer is not None and not newer.own and not version.marker:
                self._require(self._may_expire(key, version, now), f"{key}: {version.id} was covered early")
            if version.id in there:
                self._check_left(key, version, newer, there[version.id][1], now)
            else:
                older = [other.id for other in held[number + 1 :] if other.id in there]
                self._check_gone(key, version, older, now)
        self.known[key] = [version for version in held if version.id in there]

    def _check_gone(self, key, version, older, now):
        """What is gone was due: a marker that covered nothing, or a version that was covered for long enough."""
        covered = self._covered(key, version)
        due = not older if version.marker else self._counted(covered, NONCURRENT) <= now
        self._require(due and key.startswith("old/"), f"{key}: {version.id} went early")
        self.gone.add((key, version.id))
        self.counts["expired"] += 1

    def _check_left(self, key, version, newer, storage_class, now):
        """What is left is not overdue."""
        if version.marker:
            return
        slack = max(SLACK_DAYS * self.day, self.slack_seconds)
        if key.startswith("old/"):
            since, days = (version.ended, EXPIRES) if newer is None else (newer.ended, NONCURRENT)
            due = max(self._counted(since, days), self.uncovered[key])
            self._require(now < due + slack, f"{key}: {version.id} is overdue")
        moved = storage_class == "GLACIER_IR"
        self.counts["moved"] += moved
        movable = key.startswith("cold/") and version.size >= LEAST_MOVED
        if moved:
            due = movable and self._counted(version.began, MOVES) <= now
            self._require(due, f"{key}: {version.id} moved early")
        elif newer is None and movable:
            due = max(self._counted(version.ended, MOVES), self.uncovered[key])
            self._require(now < due + slack, f"{key}: {version.id} does not move")

    def _covered(self, key, version):
        """Return the first moment at which a version may have been covered, by the client or by a rule."""
        later = [it.began for (of, _), it in self.made.items() if of == key and order_of(it.id) > order_of(version.id)]
        return min([*later, self._counted(version.began, EXPIRES)])

    def _may_expire(self, key, version, now):
        return key.startswith("old/") and self._counted(version.began, EXPIRES) <= now

    def _counted(self, since, days):
        """Return the end of so many days: the first midnight after them."""
        day_ns = int(self.day * 1e9)  # there were so many days that fractions of a nanosecond add up
        return (int(since * 1e9) // day_ns + days + 1) * day_ns / 1e9

    # --- what follows

    def missing(self, endpoint, path):
        """Return what has not followed yet: events in a file, and replicas. Notes what must not be there."""
        self.client = Client(endpoint, 60)
        lines = path.read_bytes().splitlines() if path.exists() else []
        records = [record for line in lines for record in msgspec.json.decode(line).get("Records", ())]
        names = {}
        for record in records:
            item = record["s3"]["object"]
            names.setdefault((item["key"], item["versionId"]), set()).add(record["eventName"])
        unknown = [it for it, told in names.items() if it not in self.made and not _by_rule(told)]
        self._require(not unknown, f"events of what never was: {unknown[:5]}")
        lost = [it for it, version in self.made.items() if _made_as(version) not in names.get(it, ())]
        lost += [it for it in self.gone if not {f"{by}:Delete" for by in _REMOVALS} & names.get(it, set())]
        mirrored = {(key, each): at for key, held in self.listed(MIRROR).items() for each, at in held.items()}
        strange = [it for it in mirrored if it not in self.made or it in self.expired]
        self._require(not strange, f"replicas of what is not replicated: {strange[:5]}")
        there = [(key, version.id) for key, held in self.known.items() for version in held if version.own]
        lost += [("replica", *it) for it in there if it not in mirrored]
        self.counts["events"], self.counts["replicas"] = len(records), len(mirrored)
        self.client.close()
        return lost

    # --- within

    def _ask(self, method, path, body=b""):
        """Return when a request was sent and answered, and its answer."""
        began = time.time()
        answer = self.client.request(method, f"/{BUCKET}/{path}", body)
        expected = (200, 404) if method == "GET" else (200, 204)
        self._require(answer.status in expected, f"{method} {path}: {answer.status} {answer.body[:300]}")
        return began, time.time(), answer

    def _add(self, key, began, ended, answer, **fields):
        version = Known(answer.headers["x-amz-version-id"], began, ended, **fields)
        self.known[key].insert(0, version)
        self.made[key, version.id] = version

    def _require(self, holds, text):
        if not holds:
            self.wrong.append(f"{BUCKET}: {text}")


_REMOVALS = ("ObjectRemoved", "LifecycleExpiration")


def _by_rule(names):
    return {name.partition(":")[0] for name in names} == {"LifecycleExpiration"}


def _made_as(version):
    """Return the name of the event of what was made."""
    if not version.marker:
        return "ObjectCreated:Put"
    return f"{_REMOVALS[not version.own]}:DeleteMarkerCreated"


def run(seconds, seed, *, volumes=3, workers=2, place=None, rounds_a_day=3, slack_seconds=SLACK_SECONDS):
    """Let a week pass in so many seconds.

    Args:
        volumes, workers: of the server.
        place: the directory for the data; without it one in memory.
        rounds_a_day: how often all is compared.
        slack_seconds: see ``SLACK_SECONDS``; a machine that has much to do needs more.

    Returns:
        Counts, and what was wrong.
    """
    counts, choose, day = Counter(), random.Random(seed), seconds / DAYS
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="week-", dir=place or IN_MEMORY))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        errors = stack.enter_context((root / "log").open("w+"))
        (root / "config.toml").write_text(
            "".join(
                f'[[notifications.targets]]\narn = "{arn}"\nkind = "file"\npath = "{root / name}"\n'
                for arn, name in ((ARN, "events"), (thaw.ARN, "thaw"))
            )
        )
        thawer = thaw.Thawer(seed, day, root / "thaw")
        variables = {
            "S3ISH_CONFIG": str(root / "config.toml"),
            "S3ISH_JOBS_DAY_SECONDS": str(day),
            "S3ISH_JOBS_RESTORE_SECONDS": str(thawer.takes),
        }
        host = Host(root, volumes, workers, errors, **variables)
        stack.callback(lambda: host.server.kill())
        prepare(host.server.endpoint)
        prepare_rules(host.server.endpoint)
        players = [Player(number, BUCKETS[number % len(BUCKETS)], seed) for number in range(2)]
        keeper = Keeper(seed, day, slack_seconds)
        everybody = [*players, keeper, thawer]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not any(it.wrong for it in everybody):
            play(host.server.endpoint, everybody, min(ends, time.monotonic() + day / rounds_a_day))
            for it in everybody:
                it.look(host.server.endpoint)
            counts["rounds"] += 1
            if choose.random() < 0.3:
                how = choose.choice((signal.SIGTERM, signal.SIGKILL))
                host.stop(how)
                counts[how.name] += 1
                host.start()
        wrong = [text for it in everybody for text in it.wrong] or settle(host, keeper, thawer, root / "events")
        host.stop(signal.SIGTERM)
        wrong += check(host.roots) + unhandled(errors)
    for it in everybody:
        counts.update(it.counts)
    return counts, wrong


def play(endpoint, everybody, until):
    """Let all play until a moment."""
    threads = [threading.Thread(target=it.play, args=(endpoint, until)) for it in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def settle(host, keeper, thawer, events):
    """Wait until all has followed, and a rule has done something; return what has not, and what should not have."""
    deadline = time.monotonic() + max(PATIENCE_SECONDS, keeper.slack_seconds)
    while True:
        keeper.look(host.server.endpoint)
        thawer.look(host.server.endpoint)
        missing = keeper.missing(host.server.endpoint, events) + thawer.missing()
        wrong = keeper.wrong + thawer.wrong
        if (keeper.counts["expired"] and not missing) or wrong or time.monotonic() > deadline:
            return wrong + [f"does not follow: {each}" for each in missing[:10]]
        time.sleep(0.2)


def check(roots):
    """Return what a check of a store finds that no server has."""
    done = subprocess.run(
        [sys.executable, "-m", "s3ish", "check", *map(str, roots)], capture_output=True, text=True, check=False
    )
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def prepare_rules(endpoint):
    """Make the bucket with the rules, and the one for replicas."""
    client = Client(endpoint)
    for bucket in (BUCKET, MIRROR):
        assert client.request("PUT", f"/{bucket}").ok
        put_document(client, bucket, "versioning", VERSIONING)
    for name, text in DOCUMENTS.items():
        put_document(client, BUCKET, name, text)
    assert client.request("PUT", f"/{thaw.BUCKET}").ok
    put_document(client, thaw.BUCKET, "notification", thaw.NOTIFICATION)
    client.close()


def put_document(client, bucket, name, text):
    """Put a configuration of a bucket."""
    digest = base64.b64encode(hashlib.md5(text.encode()).digest()).decode()
    answer = client.request("PUT", f"/{bucket}?{name}", text.encode(), Content_MD5=digest)
    assert answer.ok, answer


if __name__ == "__main__":
    main_of(run, __doc__)
