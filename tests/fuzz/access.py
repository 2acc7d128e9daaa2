"""Requests under random policies, many of them changed after signing: nothing is answered that a plain reader of the
policy refuses.

The server is whole (see ``requests``); what is expected comes from ``tests.auth.naive``, which reads the JSON anew.
"""

import json
import random
import re
import tempfile
from urllib.parse import quote, unquote

import structlog

from tests.auth.naive import ALLOW, ask
from tests.auth.support import ALICE, BOB, sign_header, sign_query
from tests.fuzz.requests import OWNER, Door, meaning, on_the_wire, parse, signed

OPERATIONS = {
    "GET object": ("GET", "/{key}", "", "s3:GetObject"),
    "GET version": ("GET", "/{key}", "versionId=null", "s3:GetObjectVersion"),
    "HEAD object": ("HEAD", "/{key}", "", "s3:GetObject"),
    "PUT object": ("PUT", "/{key}", "", "s3:PutObject"),
    "DELETE object": ("DELETE", "/{key}", "", "s3:DeleteObject"),
    "GET tags": ("GET", "/{key}", "tagging=", "s3:GetObjectTagging"),
    "GET list": ("GET", "", "list-type=2&prefix={key}", "s3:ListBucket"),
    "GET versions": ("GET", "", "prefix={key}&versions=", "s3:ListBucketVersions"),
    "GET location": ("GET", "", "location=", "s3:GetBucketLocation"),
    "GET versioning": ("GET", "", "versioning=", "s3:GetBucketVersioning"),
}
"""Method, path below the bucket, query and action of requests, from AWS's pages."""

HIDDEN = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging")
"""What is forbidden where the key is missing, to who may not list the bucket."""
KEYS = ("a", "a/b", "a%20c", "team/x", "secret", "%E6%9D%B1")
PATTERNS = ("*", "a*", "a/*", "team/${aws:username}", "s?cret", "東", "a", "")
ACTIONS = (*sorted({action for *_, action in OPERATIONS.values()}), "s3:*", "s3:Get*", "s3:*Object", "s3:List*", "*")
AGENTS = ("curl/8", "robot", "aws-cli/2")
BUCKET = "shared"
_SIGNERS = (None, ALICE, BOB)
_PER_POLICY = 50


class Writer:
    """Makes policies and requests."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def some(self, choices, most=3):
        return self._random.sample(choices, self._random.randint(1, min(most, len(choices))))

    def policy(self):
        """Return the text of a policy of a bucket."""
        return json.dumps(
            {"Version": "2012-10-17", "Statement": [self._statement(n) for n in range(self._random.randint(1, 5))]}
        )

    def _statement(self, number):
        choose = self._random
        names = [f"arn:aws:iam::000000000000:user/{user.owner.id}" for user in (ALICE, BOB)]
        resources = [
            f"arn:aws:s3:::{BUCKET}/{pattern}" if pattern else f"arn:aws:s3:::{BUCKET}" for pattern in PATTERNS
        ]
        field = choose.choice(("Action", "Action", "Action", "NotAction"))
        statement = {
            "Sid": f"S{number}",
            "Effect": choose.choice(("Allow", "Allow", "Deny")),
            "Principal": choose.choice(("*", {"AWS": "*"}, {"AWS": self.some(names)})),
            field: self.some(ACTIONS),
            choose.choice(("Resource", "Resource", "NotResource")): self.some(resources),
        }
        if choose.random() < 0.4:
            operator = choose.choice(("StringEquals", "StringNotLike", "StringLike", "StringEqualsIfExists"))
            key, values = choose.choice(
                (
                    ("aws:UserAgent", ("curl/8", "rob*", "*")),
                    ("s3:prefix", ("a", "a*", "team/x")),
                    ("aws:Referer", ("r*",)),
                )
            )
            statement["Condition"] = {operator: {key: self.some(values)}}
        return statement

    def request(self):
        """Return a request as bytes, who signed it, its action, its decoded key and what policies may ask of it."""
        choose = self._random
        method, path, query, action = OPERATIONS[choose.choice(sorted(OPERATIONS))]
        key, signer = choose.choice(KEYS), choose.choice(_SIGNERS)
        agent, referer = choose.choice(AGENTS), choose.choice(("", "r1", "s1"))
        path = f"/{BUCKET}" + path.format(key=key)
        query = query.format(key=quote(unquote(key), safe=""))
        headers = [("user-agent", agent)] + ([("referer", referer)] if referer else [])
        body = b"data" if method == "PUT" else b""
        if signer is None:
            data = b"".join(
                part
                for part in (
                    f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\nhost: s3.test\r\n".encode(),
                    "".join(f"{name}: {value}\r\n" for name, value in headers).encode(),
                    b"content-length: %d\r\n\r\n" % len(body),
                    body,
                )
            )
        elif choose.random() < 0.3 and not body:
            data = on_the_wire(sign_query(method, path, query, headers, user=signer))
        elif body:
            data = on_the_wire(sign_header(method, path, query, headers, body, user=signer), body)
        else:
            data = on_the_wire(sign_header(method, path, query, headers, user=signer))
        context = {"aws:useragent": [agent]} | ({"aws:referer": [referer]} if referer else {})
        if "prefix=" in query:
            context["s3:prefix"] = [unquote(key)]
        if "versionId" in query:
            context["s3:versionid"] = ["null"]
        if signer:
            context["aws:username"] = [signer.owner.id]
        return data, signer, action, unquote(key) if "{key}" in OPERATIONS_PATHS[action] else "", context

    def changed(self, data):
        """Return a request with its path, query, method or signature changed after it was signed."""
        choose = self._random
        head, _, rest = data.partition(b" HTTP/1.1")
        method, _, target = head.partition(b" ")
        way = choose.randrange(4)
        if way == 0:
            other = choose.choice([key.encode() for key in KEYS])
            target = re.sub(rb"^/shared/[^?]*", b"/shared/" + other, target)
        elif way == 1:
            method = choose.choice([b"GET", b"PUT", b"DELETE", b"HEAD", b"POST"])
        elif way == 2:
            target += (b"&" if b"?" in target else b"?") + choose.choice(
                (b"acl=", b"tagging=", b"versionId=null", b"x=1")
            )
        else:
            rest = re.sub(rb"(Signature=)(.)", lambda found: found[1] + (b"0" if found[2] != b"0" else b"1"), rest)
        return method + b" " + target + b" HTTP/1.1" + rest


OPERATIONS_PATHS = {action: path for _, path, _, action in OPERATIONS.values()}


def expects(policy, signer, action, key, context):
    """Whether a plain reader of the policy lets a caller in who owns nothing here."""
    caller = {"arn": f"arn:aws:iam::000000000000:user/{signer.owner.id}" if signer else ""}
    caller["canonical"] = signer.owner.id if signer else ""
    resource = f"arn:aws:s3:::{BUCKET}/{key}" if key else f"arn:aws:s3:::{BUCKET}"
    return ask(policy, caller, action, resource, context)[0] == ALLOW


async def ask_under_policies(count, seed):
    """Send so many requests under random policies, half of them changed after signing.

    Returns how many of those that were not changed were let in, how many were not, and how many changed ones were
    refused. Raises AssertionError for any that a plain reader decides otherwise.
    """
    writer, chooser = Writer(seed), random.Random(seed)
    opened = shut = changed = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, structlog.testing.capture_logs() as logged:
        door = Door(folder)
        assert await door.send(parse(signed("PUT", f"/{BUCKET}", user=OWNER))) == 200
        while opened + shut + changed < count:
            policy = writer.policy()
            put = signed("PUT", f"/{BUCKET}", "policy=", body=policy.encode(), user=OWNER)
            if await door.send(parse(put)) == 400:  # it names an action that none of its resources has
                continue
            for key in KEYS:
                await door.send(parse(signed("PUT", f"/{BUCKET}/{key}", body=b"data", user=OWNER)))
            for _ in range(_PER_POLICY):
                data, signer, action, key, context = writer.request()
                if signer and chooser.random() < 0.5:
                    other = writer.changed(data)
                    if parse(other) is None or meaning(parse(other)) == meaning(parse(data)):
                        continue
                    status = await door.send(parse(other))
                    assert 400 <= status < 500 or status == 501, f"status {status} for {other!r} under {policy}"
                    changed += 1
                    continue
                status = await door.send(parse(data))
                wanted = expects(policy, signer, action, key, context)
                right = status != 403 or action in HIDDEN if wanted else status == 403
                assert right, f"status {status} for {data!r} under {policy}"
                opened, shut = opened + wanted, shut + (not wanted)
            logged.clear()
        await door.close()
    return opened, shut, changed
