"""Documents that are nearly policies: each place of a whole one holds each odd value once, and none is a failure."""

import contextlib
import json

import pytest

from s3ish.auth.policy import read_policy, read_trust_policy
from s3ish.auth.policy_fit import check_fit
from s3ish.auth.simulation import keys_of, places_of
from s3ish.errors import MalformedPolicy

BUCKET = "docs"
ODD = [
    None,
    True,
    1,
    1.5,
    10**30,
    "",
    "*",
    "${",
    "${}",
    "\0*",
    "\ud800",
    "a" * 30_000,
    "::1%eth0/1",
    "1e9999999",
    [],
    {},
]
ODD += [["a"], [[1]], {"a": 1}, [None], {"": ""}, "9999-99", "1.2.3.4/33", "arn:", "arn:aws:s3:::", "s3:", ":"]
WHOLE = {
    "Version": "2012-10-17",
    "Id": "x",
    "Statement": [
        {
            "Sid": "a",
            "Effect": "Allow",
            "Principal": {"AWS": ["*"], "CanonicalUser": "c"},
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
            "Condition": {
                "StringLike": {"aws:username": ["x*"]},
                "Null": {"s3:prefix": True},
                "IpAddress": {"aws:SourceIp": "::ffff:1.2.3.4/97"},
                "NumericEquals": {"s3:max-keys": 1},
                "DateEquals": {"aws:CurrentTime": "2020"},
                "BinaryEquals": {"aws:userid": "YQ=="},
                "ArnLike": {"aws:SourceArn": "a:b:c"},
            },
        }
    ],
}


def changed(value):
    """A value with an odd one in each place, one at a time, and under each name."""
    yield from ODD
    if isinstance(value, dict):
        for name, item in value.items():
            rest = {key: it for key, it in value.items() if key != name}
            yield rest
            yield from ({**rest, odd: item} for odd in ODD if isinstance(odd, str))
            yield from ({**value, name: it} for it in changed(item))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield [*value, item]
            yield from ([*value[:place], it, *value[place + 1 :]] for it in changed(item))


def without(*fields, **more):
    """The whole document, without some fields of its statement, and with others."""
    [statement] = WHOLE["Statement"]
    kept = {name: value for name, value in statement.items() if name not in fields}
    return {**WHOLE, "Statement": [{**kept, **more}]}


def read_of_bucket(text):
    return read_policy(text, BUCKET)


def words_of(read, text):
    """In which words a text is refused; empty if it is not."""
    try:
        read(text)
    except MalformedPolicy as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("read", "whole"),
    [
        (read_of_bucket, WHOLE),
        (read_policy, without("Principal")),
        (read_trust_policy, without("Resource", Action=["sts:AssumeRole"])),
    ],
)
def test_any_document_is_a_policy_or_is_refused_in_words_that_can_be_written(read, whole):
    accepted = 0
    for document in changed(whole):
        text = json.dumps(document)
        words = words_of(read, text)
        assert words.encode().decode() == words
        if not words:
            accepted += 1
            assert len(read(text).statements) == len(list(places_of(text)))
            assert set(keys_of(text)) >= {"s3:prefix"} or "s3:prefix" not in text
    assert accepted


def test_what_is_a_policy_of_a_bucket_fits_or_is_refused():
    outcomes = set()
    for document in changed(WHOLE):
        text = json.dumps(document)
        with contextlib.suppress(MalformedPolicy):
            read_policy(text, BUCKET)
            outcomes.add("read")
            check_fit(text)
            outcomes.add("fits")
    assert outcomes == {"read", "fits"}
