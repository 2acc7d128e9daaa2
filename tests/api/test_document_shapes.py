"""Any document that AWS's model can express is refused, or returned as it was put: botocore writes and reads it."""

import datetime

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3ish.api.catalogue import families
from s3ish.errors import S3Error
from s3ish.wire import shape

MODEL = botocore.session.get_session().get_service_model("s3")
FAMILIES = {
    operation.name: (family, operation)
    for family in families()
    for operation in family.operations
    if operation.method == "PUT" and family.kind is not str
}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1, max_size=8)
MIDNIGHT = datetime.time(tzinfo=datetime.UTC)
DAYS = st.dates(datetime.date(1900, 1, 1)).map(lambda day: datetime.datetime.combine(day, MIDNIGHT))
SAID = {
    "PutPublicAccessBlock": dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False
    )
}
"""What S3 says where a document does not."""


def values(shape):
    """A strategy of what a shape of the model can hold."""
    if shape.type_name == "structure":
        required = {name: values(shape.members[name]) for name in shape.required_members}
        others = {name: values(member) for name, member in shape.members.items() if name not in required}
        return st.fixed_dictionaries(required, optional=others)
    if shape.type_name == "list":
        return st.lists(values(shape.member), min_size=1, max_size=3)
    if shape.type_name == "string":
        return st.sampled_from(shape.enum) if shape.enum else TEXT
    return {
        "integer": st.integers(0, 2**31 - 1),
        "long": st.integers(0, 2**63 - 1),
        "boolean": st.booleans(),
        "timestamp": DAYS,
    }[shape.type_name]


def returned(operation, family, body):
    """What botocore reads of the answer to a read, after the server has read what it wrote."""
    typed = shape.wire(operation.request).read_request({"Bucket": "b"}, {"id": "x"}, {}, body)
    held = family.written(typed.document)[family.name]
    again = shape.read_document(family.kind, held.encode(), family.root)
    written = shape.write(again, 200)
    answer = {"status_code": 200, "headers": dict(written.headers), "body": written.body}
    found = create_parser("rest-xml").parse(
        answer, MODEL.operation_model(operation.name.replace("Put", "Get", 1)).output_shape
    )
    del found["ResponseMetadata"]
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_accepted_is_returned(name):
    family, operation = FAMILIES[name]
    model = MODEL.operation_model(name)
    member = model.input_shape.serialization["payload"]
    accepted = []

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values(model.input_shape.members[member]))
    def check(value):
        arguments = {"Bucket": "b", "Id": "x", member: value}
        known = {key: arguments[key] for key in arguments if key in model.input_shape.members}
        body = create_serializer("rest-xml").serialize_to_request(known, model)["body"]
        try:
            found = returned(operation, family, body)
        except S3Error:
            return
        found.pop("TransitionDefaultMinimumObjectSize", None)
        assert found.get(member, found) == SAID.get(name, {}) | value
        accepted.append(value)

    check()
    assert accepted, "nothing was accepted: this proves nothing"
