"""Records as they stand in stores: what was written once is read, and written in the same way."""

import json

import pytest

from s3ish.identity.records import KINDS, GroupRecord, PolicyRecord, RoleRecord, UserRecord, decode

WRITTEN = {
    UserRecord: (
        '{"id":"AIDAAAAAAAAAAAAAAAAA","name":"alice","created_ns":1,"path":"/team/","tags":[["cost","42"]],'
        '"attached":["arn:aws:iam::aws:policy/readonly"],"inline":{"own":"{}"},'
        '"keys":[{"id":"AKIAAAAAAAAAAAAAAAAA","secret":"plain:a secret","created_ns":2},'
        '{"id":"chosen","secret":"sealed:0123456789abcdef:AAAA","created_ns":3,"active":false}],'
        '"groups":["AGPAAAAAAAAAAAAAAAAA"]}'
    ),
    GroupRecord: '{"id":"AGPAAAAAAAAAAAAAAAAA","name":"staff","created_ns":1,"inline":{"own":"{}"}}',
    RoleRecord: (
        '{"id":"AROAAAAAAAAAAAAAAAAA","name":"reader","created_ns":1,"trust":"{}","description":"d",'
        '"most_seconds":7200}'
    ),
    PolicyRecord: (
        '{"id":"ANPAAAAAAAAAAAAAAAAA","name":"own","created_ns":1,"versions":[{"id":"v2","document":"{}",'
        '"created_ns":2}],"default":"v2","made":2,"updated_ns":2,"description":"d"}'
    ),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_stores_hold_is_read_and_written_in_the_same_way(kind):
    record = decode(kind, WRITTEN[kind])
    assert record.encoded() == WRITTEN[kind]
    assert record.row == f"{kind.folder}/{record.id}"
    plain = {name: value for name, value in json.loads(WRITTEN[kind]).items() if name != "description"}
    assert decode(kind, json.dumps({**plain, "of a later release": 1})).name == record.name


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"id":1,"name":"x","created_ns":1}', '{"id":"x"', "\ud800"])
def test_what_is_no_record_is_an_error_and_no_crash(text):
    with pytest.raises(ValueError, match=r"."):
        decode(UserRecord, text)
