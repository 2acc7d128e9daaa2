"""A client of the week that restores objects of an archive class, which takes time: none is readable early, nor for
longer than was asked for, and each restore has its events, none of them early."""

import random
import time
from collections import Counter

import msgspec

from tests.torture.client import Client
from tests.torture.player import digest_of

BUCKET, ARN = "thawed", "arn:s3ish:sqs:us-east-1:1:week:thaw"
_XML = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
NOTIFICATION = f"""<NotificationConfiguration {_XML}><QueueConfiguration><Id>i</Id><Queue>{ARN}</Queue>
    <Event>s3:ObjectRestore:*</Event></QueueConfiguration></NotificationConfiguration>"""
MOST_KEYS, RESTORES_A_DAY = 400, 20
PATIENCE_DAYS = 2
"""A restore for a day ends with the first midnight after it, at the latest two days after it is complete."""


class Restored(msgspec.Struct):
    """A restore: when it was asked for, between two moments, and the digest of the object."""

    began: float
    ended: float
    digest: str


class Thawer:
    """Puts objects into an archive class, restores each once for a day, and reads them at any time.

    Args:
        seed: of what it does.
        day: how long a day is, in seconds; a restore takes ``takes``.
        path: the file of its target.
    """

    def __init__(self, seed, day, path):
        self.choose, self.day, self.takes, self.path = random.Random(f"{seed}/thaw"), day, day / 4, path
        self.restores, self.wrong, self.counts = {}, [], Counter()
        self.client = None

    def play(self, endpoint, until):
        """Do operations until a moment."""
        self.client = Client(endpoint, 60)
        try:
            if not self.restores:
                self.restore()  # however slow the machine is
            while time.monotonic() < until and not self.wrong:
                if len(self.restores) < MOST_KEYS and self.choose.random() < 0.1:
                    self.restore()
                else:
                    self.get(self.choose.choice(list(self.restores)[-20:]))
                time.sleep(self.day / RESTORES_A_DAY / 10)
        except BaseException as error:  # a thread must not end in silence
            self.wrong.append(f"{BUCKET}: {error!r}")
            raise
        finally:
            self.client.close()

    def restore(self):
        """Put an object and ask for it."""
        key, data = f"k{len(self.restores)}", self.choose.randbytes(self.choose.choice((10, 5000, 200_000)))
        self._require(self.client.request("PUT", f"/{BUCKET}/{key}", data, x_amz_storage_class="GLACIER").ok, "PUT")
        began = time.time()
        body = f"<RestoreRequest {_XML}><Days>1</Days></RestoreRequest>".encode()
        answer = self.client.request("POST", f"/{BUCKET}/{key}?restore", body)
        self._require(answer.status == 202, f"restore of {key}: {answer.status} {answer.body[:300]}")
        self.restores[key] = Restored(began, time.time(), digest_of(data))
        self.counts["restores"] += 1

    def get(self, key):
        """Read an object: while its restore lasts and at no other time."""
        began = time.time()
        answer = self.client.request("GET", f"/{BUCKET}/{key}")
        self.judge(key, began, time.time(), answer.status, digest_of(answer.body))

    def judge(self, key, began, ended, status, digest):
        """Note what is wrong with an answer to a GET between two moments."""
        of = self.restores[key]
        self._require(status in (200, 403), f"GET {key}: {status}")
        if status == 200:
            self.counts["read"] += 1
            self._require(digest == of.digest, f"GET {key}: other bytes than were put")
            self._require(ended >= of.began + self.takes, f"GET {key}: readable early")
            late = of.ended + self.takes + PATIENCE_DAYS * self.day
            self._require(began <= late, f"GET {key}: readable for too long")
        else:
            inside = began > of.ended + self.takes and ended < of.began + self.takes + self.day
            self._require(not inside, f"GET {key}: not readable though it is restored")

    def look(self, endpoint):
        """Look at the events that there are: none is early, or of what was not restored."""
        now = time.time()
        for key, name in self.told():
            of = self.restores.get(key)
            self._require(of is not None, f"{name} of {key}, which was not restored")
            if of:
                first = {"Completed": self.takes, "Delete": self.takes + self.day}.get(name, 0)
                self._require(now >= of.began + first, f"{name} of {key} comes early")

    def told(self):
        """Return what events there are: key and name."""
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        records = [record for line in lines for record in msgspec.json.decode(line).get("Records", ())]
        return {(it["s3"]["object"]["key"], it["eventName"].removeprefix("ObjectRestore:")) for it in records}

    def missing(self):
        """Return what is not told yet, of restores that are complete by now, and of those that have ended."""
        told, now, lost = self.told(), time.time(), []
        for key, of in self.restores.items():
            due = {"Post": 0, "Completed": self.takes, "Delete": self.takes + PATIENCE_DAYS * self.day}
            lost += [(key, name) for name, after in due.items() if now > of.ended + after and (key, name) not in told]
        return lost

    def _require(self, holds, text):
        if not holds:
            self.wrong.append(f"{BUCKET}: {text}")
