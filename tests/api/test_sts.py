"""Temporary credentials: who am I, sessions with fewer rights, and what ends them."""

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.api.conftest import LIMITED, OTHER, ROOT
from tests.api.iam_support import allowing, of_session

ROLE = "arn:aws:iam::000000000000:role/uploader"


def sts_of(server, keys, token=None):
    return boto3.client(
        "sts",
        endpoint_url=server.endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        aws_session_token=token,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )


def s3_of(server, credentials, **settings):
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **settings),
    )


def code_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.mark.parametrize(
    ("keys", "arn"),
    [
        (ROOT, "arn:aws:iam::000000000000:root"),
        (OTHER, "arn:aws:iam::000000000000:user/other"),
        (LIMITED, "arn:aws:iam::000000000000:user/ci"),
    ],
)
def test_callers_learn_who_they_are(server, keys, arn):
    found = sts_of(server, keys).get_caller_identity()
    assert (found["Arn"], found["Account"]) == (arn, "000000000000")


def test_a_session_has_the_rights_of_its_user(server, s3, bucket):
    credentials = sts_of(server, ROOT).get_session_token()["Credentials"]
    session = s3_of(server, credentials)
    session.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    limited = s3_of(server, sts_of(server, LIMITED).get_session_token()["Credentials"])
    limited.put_object(Bucket=bucket, Key="ci/k", Body=b"x")
    assert code_of(limited.put_object, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"


def test_a_policy_narrows_a_session(server, s3, bucket):
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"}
    answer = sts_of(server, ROOT).assume_role(
        RoleArn=ROLE, RoleSessionName="job-1", Policy=json.dumps({"Statement": statement}), DurationSeconds=900
    )
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/uploader/job-1"
    session = s3_of(server, answer["Credentials"])
    session.put_object(Bucket=bucket, Key="in/k", Body=b"x")
    assert code_of(session.put_object, Bucket=bucket, Key="out", Body=b"") == "AccessDenied"
    assert code_of(session.get_object, Bucket=bucket, Key="in/k") == "AccessDenied"
    assert code_of(session.put_bucket_policy, Bucket=bucket, Policy="{}") == "AccessDenied"
    credentials = answer["Credentials"]
    again = sts_of(server, (credentials["AccessKeyId"], credentials["SecretAccessKey"]), credentials["SessionToken"])
    assert again.get_caller_identity()["Arn"].endswith("assumed-role/uploader/job-1")
    assert code_of(again.assume_role, RoleArn=ROLE, RoleSessionName="job-2") == "AccessDenied"
    assert code_of(again.get_session_token) == "AccessDenied"


def test_a_bucket_policy_can_name_the_role(server, s3, new_bucket):
    bucket = new_bucket()
    policy = {"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": policy}))
    credentials = sts_of(server, ROOT).assume_role(RoleArn=ROLE, RoleSessionName="job")["Credentials"]
    assert code_of(s3_of(server, credentials).put_object, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"
    s3.put_object(Bucket=bucket, Key="k", Body=b"")


def test_presigned_urls_and_forms_of_a_session(server, s3, bucket, raw):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    credentials = sts_of(server, ROOT).get_session_token()["Credentials"]
    session = s3_of(server, credentials, signature_version="s3v4")
    url = session.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    assert raw("GET", url.removeprefix(server.endpoint), keys=None).body == b"x"


@pytest.mark.parametrize("change", ["token", "key", "other"])
def test_a_token_that_was_changed_is_refused(server, bucket, change):
    credentials = sts_of(server, ROOT).get_session_token()["Credentials"]
    if change == "token":
        token = credentials["SessionToken"]
        credentials["SessionToken"] = token[:-8] + ("A" if token[-8] != "A" else "B") + token[-7:]
    elif change == "key":
        credentials["AccessKeyId"] = "ASIA" + "A" * 16
    else:
        credentials |= {"AccessKeyId": OTHER[0], "SecretAccessKey": OTHER[1]}
    assert code_of(s3_of(server, credentials).list_objects_v2, Bucket=bucket) == "InvalidToken"


def test_a_session_without_its_token_is_nobody(server, bucket):
    credentials = sts_of(server, ROOT).get_session_token()["Credentials"] | {"SessionToken": None}
    assert code_of(s3_of(server, credentials).list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"RoleArn": "arn:aws:iam::000000000000:user/x", "RoleSessionName": "job"}, "ValidationError"),
        ({"RoleArn": ROLE, "RoleSessionName": "a b"}, "ValidationError"),
        ({"RoleArn": ROLE, "RoleSessionName": "job", "DurationSeconds": 43_201}, "ValidationError"),
        ({"RoleArn": ROLE, "RoleSessionName": "job", "Policy": "{}"}, "MalformedPolicyDocument"),
        ({"RoleArn": ROLE, "RoleSessionName": "job", "TransitiveTagKeys": ["a"]}, "InvalidInput"),
        ({"RoleArn": ROLE, "RoleSessionName": "job", "SourceIdentity": "a b"}, "ValidationError"),
        ({"RoleArn": ROLE, "RoleSessionName": "job", "SourceIdentity": "aws:x"}, "ValidationError"),
        (
            {"RoleArn": ROLE, "RoleSessionName": "job", "SerialNumber": "1" * 9, "TokenCode": "123456"},
            "ValidationError",
        ),
    ],
)
def test_calls_that_are_none(server, arguments, code):
    assert code_of(sts_of(server, ROOT).assume_role, **arguments) == code


@pytest.mark.parametrize("version", ["s3", "s3v4", None])
def test_a_url_of_a_session_opens_what_the_session_may_read(server, s3, bucket, raw, version):
    """boto3 signs by Version 2 where nothing else is said; the token is one of the headers that stand in the query."""
    s3.put_object(Bucket=bucket, Key="ci/k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    given = sts_of(server, LIMITED).get_session_token()["Credentials"]
    session = s3_of(server, given, **({"signature_version": version} if version else {}))

    def url(key):
        whole = session.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        return whole.removeprefix(server.endpoint)

    assert raw("GET", url("ci/k"), keys=None).body == b"x"
    assert raw("GET", url("k"), keys=None).outcome == (403, "AccessDenied")
    name = next(it for it in re.split("[?&]", url("ci/k")) if it.lower().startswith("x-amz-security-token="))
    another = quote(sts_of(server, LIMITED).get_session_token()["Credentials"]["SessionToken"], safe="")
    exchanged = url("ci/k").replace(name, f"{name.partition('=')[0]}={another}")
    assert raw("GET", exchanged, keys=None).outcome == (400, "InvalidToken")
    without = re.sub(r"([?&])" + re.escape(name) + "&?", r"\1", url("ci/k"))
    assert raw("GET", without, keys=None).status == 403


def test_wrong_and_missing_signatures(server, raw):
    assert code_of(sts_of(server, (ROOT[0], "wrong")).get_caller_identity) == "SignatureDoesNotMatch"
    assert code_of(sts_of(server, ("NOBODY", "wrong")).get_caller_identity) == "InvalidClientTokenId"
    assert code_of(sts_of(server, ROOT).decode_authorization_message, EncodedMessage="a") == "InvalidAction"


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASK = "Action=GetCallerIdentity&Version=2011-06-15"


@pytest.mark.parametrize("service", ["sts", "iam", "sqs"])
@pytest.mark.parametrize(
    ("authorization", "outcome"),
    [
        ("Credential=x/20260101/us-east-1/{}/aws4_request", (400, "IncompleteSignature")),
        ("Credential=x/{}/aws4_request, SignedHeaders=host, Signature=x", (400, "IncompleteSignature")),
    ],
)
def test_half_a_signature_is_told_in_the_words_of_the_service(raw, service, authorization, outcome):
    headers = FORM | {"Authorization": f"AWS4-HMAC-SHA256 {authorization.format(service)}"}
    assert _outcome(raw("POST", "/", ASK, headers, keys=None)) == outcome


def test_nobody_is_asked_for_a_signature(raw):
    assert _outcome(raw("POST", "/", ASK, FORM, keys=None)) == (403, "MissingAuthenticationToken")
    assert _outcome(raw("POST", "/", ASK, FORM | {"Authorization": ""}, keys=None)) == (
        403,
        "MissingAuthenticationToken",
    )


def _outcome(answer):
    return answer.status, re.search("<Code>([A-Za-z]+)</Code>|#([A-Za-z]+)", answer.body.decode())[1]


@pytest.mark.parametrize("service", ["sts", "iam", "sqs"])
@pytest.mark.parametrize(("minutes", "said"), [(-16, "Signature expired: "), (16, "Signature not yet current: ")])
def test_a_call_of_another_time(server, raw, monkeypatch, service, minutes, said):
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment.replace(tzinfo=None))
    request = AWSRequest("POST", f"{server.endpoint}/", FORM, ASK)
    SigV4Auth(Credentials(*ROOT), service, "us-east-1").add_auth(request)
    answer = raw("POST", "/", ASK, dict(request.headers), keys=None)
    assert _outcome(answer) == (403, "SignatureDoesNotMatch")
    assert said in answer.body.decode()


@pytest.mark.parametrize("service", ["sts", "iam", "sqs"])
def test_a_token_that_is_none(server, service):
    keys = {"AccessKeyId": "ASIAXXXXXXXXXXXXXXXX", "SecretAccessKey": "x" * 40, "SessionToken": "no token"}
    asked = of_session(server, service, keys)
    call = {"sts": "get_caller_identity", "iam": "list_users", "sqs": "list_queues"}[service]
    assert code_of(getattr(asked, call)) == "InvalidClientTokenId"


# --- how long sessions last -------------------------------------------------------------------------------------------


def lasts(credentials):
    """How many seconds credentials last that were just issued, in whole minutes."""
    left = (credentials["Expiration"] - datetime.now(UTC)).total_seconds()
    return round(left / 60) * 60


@pytest.mark.parametrize(
    ("asked", "seconds"), [({}, 43_200), ({"DurationSeconds": 900}, 900), ({"DurationSeconds": 129_600}, 129_600)]
)
def test_a_session_of_a_user_lasts_a_day_and_a_half_at_most(server, new_user, asked, seconds):
    _, keys = new_user()
    sts = sts_of(server, keys)
    assert lasts(sts.get_session_token(**asked)["Credentials"]) == seconds
    assert code_of(sts.get_session_token, DurationSeconds=129_601) == "ValidationError"


@pytest.mark.parametrize("asked", [{}, {"DurationSeconds": 3600}, {"DurationSeconds": 129_600}])
def test_a_session_of_the_root_user_lasts_an_hour_whatever_it_asks_for(server, asked):
    assert lasts(sts_of(server, ROOT).get_session_token(**asked)["Credentials"]) == 3600


def test_a_session_that_assumes_a_role_gets_an_hour_at_most(server, iam, new_user, request):
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining"""
    _, keys = new_user(json.dumps({"Statement": allowing("sts:AssumeRole")}))
    trust = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:*"}})
    arns = []
    for name in ("chain.a", "chain.b"):
        arns.append(
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, MaxSessionDuration=7200)["Role"]["Arn"]
        )
        policy = json.dumps({"Statement": allowing("sts:AssumeRole")})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)

        def remove(name=name):
            iam.delete_role_policy(RoleName=name, PolicyName="p")
            iam.delete_role(RoleName=name)

        request.addfinalizer(remove)
    first = sts_of(server, keys)
    asked = {"RoleSessionName": "job", "DurationSeconds": 7200}
    begun = first.assume_role(RoleArn=arns[0], **asked)["Credentials"]
    assert lasts(begun) == 7200
    with pytest.raises(ClientError, match="exceeds the MaxSessionDuration set for this role"):
        first.assume_role(RoleArn=arns[0], RoleSessionName="job", DurationSeconds=7201)
    second = sts_of(server, (begun["AccessKeyId"], begun["SecretAccessKey"]), begun["SessionToken"])
    with pytest.raises(ClientError, match="exceeds the 1 hour session limit for roles assumed by role chaining"):
        second.assume_role(RoleArn=arns[1], **asked)
    assert lasts(second.assume_role(RoleArn=arns[1], **asked | {"DurationSeconds": 3600})["Credentials"]) == 3600
    assert lasts(second.assume_role(RoleArn=arns[1], RoleSessionName="job")["Credentials"]) == 3600
