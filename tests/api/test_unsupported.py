"""What is not built yet says so: 501 NotImplemented, in XML, before anything is done."""

import botocore.session
import pytest
from botocore.config import Config

from s3ish.api.catalogue import catalogue

BUILT = {operation.name for operation in catalogue() if operation.supported}
REASONS = {operation.name: operation.because for operation in catalogue() if not operation.supported}
ELSEWHERE = {"ListDirectoryBuckets", "WriteGetObjectResponse"}
"""Operations that clients sign for other services of AWS, and send to other hosts."""
OLD_NAMES = {"GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification"}
"""Operations that share a request with one that is answered."""

MODEL = botocore.session.get_session().get_service_model("s3")
NAMES = [name for name in MODEL.operation_names if name not in BUILT | ELSEWHERE | OLD_NAMES]


def example(shape, bucket, depth=0):
    """The least value that a shape of botocore's model takes."""
    if shape.type_name == "structure":
        members = shape.required_members or (list(shape.members)[:1] if depth else [])
        return {name: example(shape.members[name], bucket, depth + 1) for name in members}
    if shape.type_name == "list":
        return [example(shape.member, bucket, depth + 1)]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        return bucket if shape.name == "BucketName" else (shape.enum or ["value"])[0]
    return {"integer": 1, "long": 1, "boolean": True, "blob": b"x", "timestamp": 0}[shape.type_name]


@pytest.fixture(scope="session")
def client(server):
    """A client that sends what it is given, without looking at it first."""
    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(
            retries={"max_attempts": 0},
            s3={"addressing_style": "path"},
            inject_host_prefix=False,
            parameter_validation=False,
        ),
    )


@pytest.fixture
def stored(s3, bucket):
    """A bucket in which every operation finds its object."""
    for key in ("k", "value"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    return bucket


def test_what_is_known_is_of_the_model():
    assert {*MODEL.operation_names, "PostObject"} > BUILT | ELSEWHERE | OLD_NAMES


@pytest.mark.parametrize("name", NAMES)
def test_not_implemented(client, refused, stored, unchanged, name):
    operation = MODEL.operation_model(name)
    arguments = example(operation.input_shape, stored) if operation.input_shape else {}
    if "Bucket" in arguments:
        arguments["Bucket"] = stored
    call = getattr(client, botocore.xform_name(name))
    with unchanged(stored):
        answer = refused("NotImplemented", 501, call, **arguments)
    assert name in answer["Error"]["Message"]
    assert (REASONS[name] or "docs/operations.md") in answer["Error"]["Message"]


def test_directory_buckets(raw):
    assert raw("GET", "/?x-id=ListDirectoryBuckets").outcome == (501, "NotImplemented")


@pytest.mark.parametrize("query", ["session"])
def test_in_every_form_of_the_query(raw, bucket, query):
    for form in (query, f"{query}=", f"prefix=x&{query}", f"{query}&max-keys=1"):
        assert raw("GET", f"/{bucket}?{form}").outcome == (501, "NotImplemented")


def test_a_missing_bucket_does_not_matter(raw):
    assert raw("GET", "/no-such-bucket-of-ours?session").outcome == (501, "NotImplemented")


def test_only_who_may_ask_is_told(raw, other, bucket):
    assert raw("GET", f"/{bucket}?session", keys=None).outcome == (403, "AccessDenied")
    assert raw("GET", f"/{bucket}?session", keys=("s3ishadmin", "wrong")).outcome == (403, "SignatureDoesNotMatch")
