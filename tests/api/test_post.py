"""Uploads by a browser's form: what boto3 signs, what its policy allows, and what the answer is."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from tests.api.conftest import OTHER, ROOT

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


IMAGES = ["starts-with", "$Content-Type", "image/"]


def part_of(pair):
    name, value = pair
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def form_of(fields, content=b"hello", *, name="file", filename="a b.txt", end=True, after=()):
    """Return the body of a form as a browser writes it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields
    ]
    body = "".join(parts).encode()
    if name:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        body += head.encode() + b"Content-Type: text/plain\r\n\r\n" + content + b"\r\n"
    body += "".join(map(part_of, after)).encode()
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


@pytest.fixture
def post(raw):
    """A function that sends a form without any other signature."""

    def send(bucket, fields, content=b"hello", **more):
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        pairs = fields.items() if isinstance(fields, dict) else fields
        return raw("POST", f"/{bucket}", form_of(pairs, content, **more), headers, keys=None)

    return send


@pytest.fixture(params=["s3v4", "s3"])
def presign(request, server):
    """A function that has boto3 sign a form, by either version."""
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ROOT[0],
        aws_secret_access_key=ROOT[1],
        region_name="us-east-1",
        config=Config(signature_version=request.param, s3={"addressing_style": "path"}),
    )

    def sign(bucket, key, fields=None, conditions=None, expires=600):
        return client.generate_presigned_post(bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=expires)[
            "fields"
        ]

    return sign


def policy_of(conditions, minutes=5):
    expires = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return base64.b64encode(json.dumps({"expiration": expires, "conditions": conditions}).encode()).decode()


def signed(fields, conditions, keys=ROOT, policy="", **more):
    """Return fields with a policy, or one of any conditions, signed by the older version."""
    policy = policy or policy_of(conditions, **more)
    signature = base64.b64encode(hmac.digest(keys[1].encode(), policy.encode(), "sha1")).decode()
    return {**fields, "policy": policy, "AWSAccessKeyId": keys[0], "signature": signature}


def test_what_boto3_signs_is_stored(presign, post, s3, bucket):
    fields = presign(
        bucket,
        "dir/${filename}",
        {"x-amz-meta-a": "1", "Content-Type": "text/css"},
        [{"x-amz-meta-a": "1"}, {"Content-Type": "text/css"}],
    )
    answer = post(bucket, fields, b"body { }")
    assert (answer.status, answer.body) == (204, b"")
    found = s3.get_object(Bucket=bucket, Key="dir/a b.txt")
    assert found["Body"].read() == b"body { }"
    assert (found["ContentType"], found["Metadata"]) == ("text/css", {"a": "1"})
    assert answer.headers["etag"] == found["ETag"]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_files_of_any_size(post, s3, bucket, size):
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    fields = signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}])
    assert post(bucket, fields, content).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == content


def test_a_file_may_hold_what_looks_like_a_boundary(post, s3, bucket):
    content = f"\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY}x".replace(f"\r\n--{BOUNDARY}x", "--" + BOUNDARY + "x").encode()
    assert post(bucket, signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}]), content).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == content


@pytest.mark.parametrize(
    ("status", "answered"), [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("no number", 204)]
)
def test_the_status_that_the_form_asks_for(post, bucket, status, answered):
    conditions = [{"bucket": bucket}, {"key": "k ü"}, ["starts-with", "$success_action_status", ""]]
    answer = post(bucket, signed({"key": "k ü", "success_action_status": status}, conditions))
    assert answer.status == answered
    assert answer.headers["location"].endswith(f"/{bucket}/k%20%C3%BC")
    if answered == 201:
        told = {name: answer.xml.findtext(name) for name in ("Bucket", "Key", "ETag")}
        assert told == {"Bucket": bucket, "Key": "k ü", "ETag": answer.headers["etag"]}


def test_a_browser_is_sent_on(post, bucket):
    url = "https://app.example.com/done?a=1"
    for field in ("success_action_redirect", "redirect"):
        fields = signed({"key": "k", field: url}, [{"bucket": bucket}, {"key": "k"}, {field: url}])
        answer = post(bucket, fields)
        assert answer.status == 303
        assert answer.headers["location"].startswith(f"{url}&bucket={bucket}&key=k&etag=%22")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/local", "no url", "https://x/\r\nSet-Cookie: a=b"])
def test_a_redirect_that_is_none_is_ignored(post, bucket, url):
    conditions = [{"bucket": bucket}, {"key": "k"}, ["starts-with", "$success_action_redirect", ""]]
    answer = post(bucket, signed({"key": "k", "success_action_redirect": url}, conditions))
    assert answer.status in (204, 400)
    assert "set-cookie" not in answer.headers


def test_anonymous_forms_need_a_bucket_that_allows_them(post, s3, new_bucket):
    bucket = new_bucket()
    assert post(bucket, {"key": "k"}).outcome == (403, "AccessDenied")
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [policy]}))
    assert post(bucket, {"key": "in/k"}).status == 204
    assert post(bucket, {"key": "out/k"}).outcome == (403, "AccessDenied")


def test_a_signer_needs_the_right_itself(post, bucket):
    fields = signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}], keys=OTHER)
    assert post(bucket, fields).outcome == (403, "AccessDenied")


POLICIES = [
    ([{"bucket": "other"}, {"key": "k"}], {}, "AccessDenied"),
    ([{"key": "k"}, {"bucket": "BUCKET"}, {"acl": "private"}], {}, "AccessDenied"),
    ([{"bucket": "BUCKET"}], {}, "AccessDenied"),
    ([{"bucket": "BUCKET"}, {"key": "k"}], {"x-amz-meta-a": "1"}, "AccessDenied"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, {"x-amz-meta-a": "2"}], {"x-amz-meta-a": "1"}, "AccessDenied"),
    ([{"bucket": "BUCKET"}, ["eq", "$key", "K"]], {}, "AccessDenied"),
    ([{"bucket": "BUCKET"}, ["starts-with", "$key", "user/"]], {}, "AccessDenied"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, ["content-length-range", 6, 10]], {}, "EntityTooSmall"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, ["content-length-range", 0, 4]], {}, "EntityTooLarge"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, ["content-length-range", 4, 0]], {}, "InvalidPolicyDocument"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, ["content-length-range", "a", 0]], {}, "InvalidPolicyDocument"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, ["like", "$key", "k"]], {}, "InvalidPolicyDocument"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, ["eq", "key", "k"]], {}, "InvalidPolicyDocument"),
    ([{"bucket": "BUCKET"}, {"key": "k"}, "x"], {}, "InvalidPolicyDocument"),
    ({"key": "k"}, {}, "InvalidPolicyDocument"),
    (
        [{"bucket": "BUCKET"}, {"key": "k"}, ["starts-with", "$Content-Type", "image/"]],
        {"Content-Type": "text/css"},
        "AccessDenied",
    ),
    (
        [{"bucket": "BUCKET"}, {"key": "k"}, ["starts-with", "$Content-Type", "image/"]],
        {"Content-Type": "image/a,text/b"},
        "AccessDenied",
    ),
]


@pytest.mark.parametrize(("conditions", "more", "code"), POLICIES)  # cases 71, 72
def test_what_a_policy_does_not_allow(post, bucket, unchanged, conditions, more, code):
    text = json.dumps(conditions).replace("BUCKET", bucket)
    with unchanged(bucket):
        answer = post(bucket, signed({"key": "k"} | more, json.loads(text)))
        assert answer.outcome[1] == code


@pytest.mark.parametrize(
    ("conditions", "more"),
    [
        ([["eq", "$KEY", "k"]], {}),
        ([["starts-with", "$key", ""]], {"x-ignore-me": "x"}),
        ([{"key": "k"}, ["content-length-range", 5, 5]], {}),
        ([{"key": "k"}, ["starts-with", "$Content-Type", "image/"]], {"Content-Type": "image/a, image/b"}),
        ([{"key": "k"}, ["starts-with", "$x-amz-meta-a", ""]], {"X-Amz-Meta-A": "any"}),
    ],
)
def test_what_a_policy_allows(post, bucket, conditions, more):
    assert post(bucket, signed({"key": "k"} | more, [{"bucket": bucket}, *conditions])).status == 204


_OF_K = [{"key": "k"}]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"conditions": _OF_K}, "Policy missing expiration."),
        ({"expiration": "2099-01-01T00:00:00Z"}, "Policy missing conditions."),
        ({"expiration": "2099-01-01", "conditions": _OF_K}, "Invalid 'expiration' value: '2099-01-01'"),
        ({"expiration": "2099-01-01 00:00:00+00:00", "conditions": _OF_K}, "Invalid 'expiration' value: "),
        ({"expiration": "2099-01-01T00:00:00", "conditions": _OF_K}, "Invalid 'expiration' value: "),
        ({"expiration": "2099-13-01T00:00:00Z", "conditions": _OF_K}, "Invalid 'expiration' value: "),
        ({"expiration": 4070908800, "conditions": _OF_K}, "Invalid 'expiration' value: "),
        ({"EXPIRATION": "2099-01-01T00:00:00Z", "conditions": _OF_K}, "Policy missing expiration."),
        ({"conditions": {"key": "k"}}, "Invalid 'conditions' value: must be a List."),
        ({"conditions": ["key"]}, "Invalid condition test: must be a List or Object."),
        ({"conditions": [{}]}, "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."),
        ({"conditions": [{"key": "k", "acl": "private"}]}, "Invalid Simple-Condition: Simple-Conditions must have"),
        ({"conditions": [{"key": 1}]}, "Invalid Simple-Condition: value must be a string."),
        ({"conditions": [[]]}, "Invalid Condition: missing operation identifier."),
        ({"conditions": [["like", "$key", "k"]]}, "Invalid Condition: unknown operation 'like'."),
        ({"conditions": [["eq", "$key"]]}, "Invalid eq: wrong number of arguments."),
        ({"conditions": [["starts-with", "$key", "k", "k"]]}, "Invalid starts-with: wrong number of arguments."),
        ({"conditions": [["content-length-range", 1]]}, "Invalid content-length-range: wrong number of arguments."),
    ],
)
def test_what_is_wrong_with_a_policy_is_said(post, bucket, document, message):
    if document.keys() == {"conditions"} and document["conditions"] is not _OF_K:
        document = {"expiration": "2099-01-01T00:00:00Z"} | document
    text = base64.b64encode(json.dumps(document).encode()).decode()
    answer = post(bucket, signed({"key": "k"}, [], policy=text))
    assert answer.outcome == (400, "InvalidPolicyDocument")
    assert answer.xml.findtext("Message").startswith(f"Invalid Policy: {message}")


@pytest.mark.parametrize("expiration", ["2099-01-01T00:00:00Z", "2099-01-01T00:00:00.000Z"])
def test_forms_of_expirations(post, bucket, expiration):
    document = {"expiration": expiration, "conditions": [{"bucket": bucket}, {"key": "k"}]}
    text = base64.b64encode(json.dumps(document).encode()).decode()
    assert post(bucket, signed({"key": "k"}, [], policy=text)).status == 204


@pytest.mark.parametrize(
    ("credential", "message"),
    [
        ("x", "the Credential is mal-formed; expecting"),
        ("k/20260101/us-east-1/s3/aws3_request", 'incorrect terminal "aws3_request".'),
        ("k/today/us-east-1/s3/aws4_request", 'incorrect date format "today".'),
        ("k/{date}/us-east-9/s3/aws4_request", "the region 'us-east-9' is wrong; expecting 'us-east-1'"),
        ("k/{date}/us-east-1/sqs/aws4_request", 'incorrect service "sqs".'),
    ],
)
@pytest.mark.parametrize("presign", ["s3v4"], indirect=True)
def test_what_is_wrong_with_the_credential_of_a_form_is_said(presign, post, bucket, unchanged, credential, message):
    fields = presign(bucket, "k")
    fields["x-amz-credential"] = credential.format(date=fields["x-amz-date"][:8])
    with unchanged(bucket):
        answer = post(bucket, fields)
    assert answer.outcome == (400, "InvalidArgument")
    assert answer.xml.findtext("Message").startswith(message)
    assert answer.xml.findtext("ArgumentName") == "X-Amz-Credential"
    assert answer.xml.findtext("ArgumentValue") == fields["x-amz-credential"]


def test_a_policy_expires(post, bucket, unchanged):  # case 70
    with unchanged(bucket):
        fields = signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}], minutes=-1)
        assert post(bucket, fields).outcome == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("presign", "name"),
    [
        ("s3v4", "policy"),
        ("s3v4", "x-amz-signature"),
        ("s3v4", "x-amz-credential"),
        ("s3v4", "x-amz-algorithm"),
        ("s3v4", "x-amz-date"),
        ("s3", "policy"),
        ("s3", "signature"),
        ("s3", "AWSAccessKeyId"),
    ],
    indirect=["presign"],
)
def test_a_form_that_was_changed_is_refused(presign, post, bucket, unchanged, name):
    fields = presign(bucket, "k")
    fields[name] = (
        base64.b64encode(base64.b64decode(fields[name]) + b" ").decode() if name == "policy" else "x" + fields[name]
    )
    with unchanged(bucket):
        assert post(bucket, fields).status in (400, 403)
    del fields[name]
    with unchanged(bucket):
        assert post(bucket, fields).status in (400, 403)


@pytest.mark.parametrize("policy", ["", "e30", "bm8ganNvbg==", "e30=", "W10=", "bnVsbA==", "\x00", "x" * 18_000])
def test_policies_that_are_none(post, bucket, unchanged, policy):  # cases 70, 72
    fields = signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}])
    with unchanged(bucket):
        assert post(bucket, fields | {"policy": policy}).status in (400, 403)


@pytest.mark.parametrize("key", ["other/k", "/k", "other/../k", "%2e%2e/k"])
def test_a_key_of_a_form_is_a_key_of_the_bucket_in_its_url(post, s3, bucket, new_bucket, key):  # case 71
    other = new_bucket()
    key = key.replace("other", other)
    assert post(bucket, signed({"key": key}, [{"bucket": bucket}, {"key": key}])).status == 204
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert s3.list_objects_v2(Bucket=other)["KeyCount"] == 0


@pytest.mark.parametrize("key", ["../other/k", "../../k", "other/../../k", ".."])
def test_a_key_of_a_form_that_climbs_out_is_refused(post, bucket, unchanged, key):  # case 71
    with unchanged(bucket):
        assert post(bucket, signed({"key": key}, [{"bucket": bucket}, {"key": key}])).status == 400


def test_forms_that_are_none(post, raw, bucket, unchanged):  # case 74
    fields = signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}])
    with unchanged(bucket):
        assert post(bucket, {"acl": "private"}).outcome == (400, "InvalidArgument")
        assert post(bucket, fields, name="").outcome == (400, "InvalidArgument")
        assert post(bucket, fields, end=False).outcome == (400, "MalformedPOSTRequest")
        assert post(bucket, [*fields.items(), ("key", "again")]).outcome == (400, "InvalidArgument")
        assert post(bucket, fields | {"x-amz-meta-a": "x" * 21_000}).outcome == (
            400,
            "MaxPostPreDataLengthExceeded",
        )
        assert post(bucket, [(f"x-ignore-{number}", "x") for number in range(2000)]).status == 400
        assert raw("POST", f"/{bucket}", "x=1", {"Content-Type": "application/x-www-form-urlencoded"}).status == 412
        for body in ("", "--x--", f"--{BOUNDARY}", f"--{BOUNDARY}\r\n\r\n", "no form"):
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            assert raw("POST", f"/{bucket}", body, headers, keys=None).status == 400


def test_what_follows_the_file_means_nothing(post, s3, bucket):
    fields = signed({"key": "k"}, [{"bucket": bucket}, {"key": "k"}])
    assert post(bucket, fields, after=[("x-amz-meta-a", "1"), ("key", "other")]).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Metadata"] == {}


@pytest.mark.parametrize("name", ["Content-MD5", "content-md5"])
def test_the_md5_of_a_form_is_that_of_its_file(presign, post, s3, bucket, refused, name):
    """PostObject's page: the object is checked against the Content-MD5 form field."""
    right, wrong = (base64.b64encode(hashlib.md5(data).digest()).decode() for data in (b"hello", b"other"))
    for value, outcome in [(wrong, "BadDigest"), ("no digest", "InvalidDigest"), ("", "InvalidDigest")]:
        fields = presign(bucket, "k", {name: value}, [["starts-with", f"${name}", ""]])
        assert post(bucket, fields).outcome == (400, outcome)
        refused("404", 404, s3.head_object, Bucket=bucket, Key="k")
    fields = presign(bucket, "k", {name: right}, [{name: right}])
    assert post(bucket, fields).status == 204
    assert post(bucket, presign(bucket, "k") | {name: right}).outcome == (403, "AccessDenied")
    crc = {"x-amz-checksum-crc32": "NhCmhg=="}
    fields = presign(bucket, "k", {name: wrong} | crc, [{name: wrong}, crc])
    assert post(bucket, fields).outcome == (400, "BadDigest")


def test_tags_list_and_checksum_of_a_form(post, s3, bucket):
    tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>"
    digest = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    fields = {"key": "k", "tagging": tagging, "acl": "private", "x-amz-checksum-sha256": digest}
    conditions = [{"bucket": bucket}, *({name: value} for name, value in fields.items())]
    assert post(bucket, signed(fields, conditions)).status == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "b c"}]
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumSHA256"] == digest
    wrong = fields | {"x-amz-checksum-sha256": base64.b64encode(bytes(32)).decode()}
    conditions = [{"bucket": bucket}, *({name: value} for name, value in wrong.items())]
    assert post(bucket, signed(wrong, conditions)).outcome == (400, "BadDigest")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("If-None-Match", "*"),
        ("If-Match", '"0"'),
        ("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("x-amz-write-offset-bytes", "3"),
    ],
)
def test_a_form_that_would_replace_what_its_client_wants_kept_is_refused(
    presign, raw, s3, bucket, unchanged, name, value
):
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    by_field = form_of(presign(bucket, "k", {name: value}, [{name: value}]).items())
    by_header = form_of(presign(bucket, "k").items())
    with unchanged(bucket):
        assert raw("POST", f"/{bucket}", by_field, kind, keys=None).outcome == (501, "NotImplemented")
        if not name.startswith("x-amz-"):  # of the headers of a form those of S3 are its fields
            assert raw("POST", f"/{bucket}", by_header, kind | {name: value}, keys=None).outcome == (
                501,
                "NotImplemented",
            )


def test_a_form_for_no_bucket(post):
    assert post("no-such-bucket-at-all", {"key": "k"}).status in (403, 404)


def test_a_policy_must_name_the_bucket(post, bucket):
    """Else a form that was signed for one bucket would be good for all."""
    refused = post(bucket, signed({"key": "k"}, [{"key": "k"}]))
    assert refused.outcome == (403, "AccessDenied")
    assert refused.xml.findtext("Message") == "Invalid according to Policy: Extra input fields: bucket"
    assert post(bucket, signed({"key": "k"}, [["starts-with", "$bucket", ""], {"key": "k"}])).status == 204
