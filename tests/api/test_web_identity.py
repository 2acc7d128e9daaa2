"""AssumeRoleWithWebIdentity against an identity provider on this machine."""

import json
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.api.conftest import Server
from tests.api.iam_support import allowing, client, code_of, of_session

KEY, NEXT_KEY, STRANGE_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(3))
KEYS = ("test", "test")


class Issuer:
    """An identity provider: it says where its keys are, and which they are; it counts how often it is asked."""

    def __init__(self):
        self.keys, self.asked, self.fails = {"one": KEY}, 0, False
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                answers = {
                    "/realm/.well-known/openid-configuration": {
                        "issuer": issuer.url,
                        "jwks_uri": f"{issuer.url}/keys",
                    },
                    "/realm/keys": {"keys": [_jwk(kid, key) for kid, key in issuer.keys.items()]},
                }
                answer = answers.get(self.path)
                body = json.dumps(answer).encode()
                self.send_response(500 if issuer.fails else 200 if answer else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def token(self, *, key=KEY, kid="one", **claims):
        now = int(time.time())
        said = {"iss": self.url, "aud": "s3ish", "sub": "repo:alice", "iat": now, "exp": now + 300, **claims}
        return jwt.encode(said, key, "RS256", headers={"kid": kid})

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _jwk(kid, key):
    return {**json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(key.public_key())), "kid": kid, "use": "sig"}


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def server(issuer, tmp_path_factory):
    """A server in memory that trusts the issuer, and has two roles for who signs in there."""
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "config.toml").write_text(f'[[auth.oidc]]\nissuer = "{issuer.url}"\naudiences = ["s3ish"]\n')
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", "--test", "--port", "0", "--config", folder / "config.toml"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    found = (re.search(r"endpoint\s+(http://\S+)", line) for line in process.stdout)
    server = Server(next(it[1] for it in found if it), folder, folder / "log")
    iam, name = client(server, "iam", KEYS), issuer.url.removeprefix("http://")
    provider = f"arn:aws:iam::000000000000:oidc-provider/{name}"
    for role, subject in (("one", "repo:alice"), ("team", "repo:*")):
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringLike": {f"{name}:sub": subject}, "StringEquals": {f"{name}:aud": "s3ish"}},
        }
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Statement": trust}))
        policy = json.dumps({"Statement": allowing("s3:*")})
        iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=policy)
    account = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:*"}
    iam.create_role(RoleName="account", AssumeRolePolicyDocument=json.dumps({"Statement": account}))
    client(server, "s3", KEYS).create_bucket(Bucket="bucket")
    yield server
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def sts(server):
    config = Config(signature_version=UNSIGNED, retries={"max_attempts": 0})
    return boto3.client("sts", endpoint_url=server.endpoint, region_name="us-east-1", config=config)


def asked(role="one", **more):
    return {"RoleArn": f"arn:aws:iam::000000000000:role/{role}", "RoleSessionName": "job-1", **more}


def test_who_signs_in_gets_the_rights_of_the_role(server, sts, issuer):
    answer = sts.assume_role_with_web_identity(**asked(WebIdentityToken=issuer.token()))
    assert answer["SubjectFromWebIdentityToken"] == "repo:alice"
    assert answer["Audience"] == "s3ish"
    session = of_session(server, "s3", answer["Credentials"])
    session.put_object(Bucket="bucket", Key="k", Body=b"x")
    who = of_session(server, "sts", answer["Credentials"])
    assert who.get_caller_identity()["Arn"] == "arn:aws:sts::000000000000:assumed-role/one/job-1"
    assert code_of(who.get_session_token) == "AccessDenied"
    assert code_of(who.assume_role, **asked("account")) == "AccessDenied"
    assert code_of(who.assume_role, **asked("any-name")) == "AccessDenied"


def test_the_provider_is_shown_by_iam(server, issuer):
    iam = client(server, "iam", KEYS)
    [found] = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    shown = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=found["Arn"])
    assert (shown["Url"], shown["ClientIDList"]) == (issuer.url.removeprefix("http://"), ["s3ish"])


@pytest.mark.parametrize("name", ["there", "not-there"])
def test_strangers_do_not_learn_which_policies_there_are(server, sts, issuer, name):
    arn = f"arn:aws:iam::000000000000:policy/{name}"
    if name == "there":
        document = json.dumps({"Version": "2012-10-17", "Statement": allowing("s3:*")})
        client(server, "iam", KEYS).create_policy(PolicyName=name, PolicyDocument=document)
    token = issuer.token(key=STRANGE_KEY)
    call = asked(WebIdentityToken=token, PolicyArns=[{"arn": arn}])
    assert code_of(sts.assume_role_with_web_identity, **call) == "InvalidIdentityToken"


def test_when_a_session_began_can_be_asked(server, sts, issuer):
    def session(operator):
        began = {operator: {"aws:TokenIssueTime": "2001-01-01T00:00:00Z"}}
        policy = json.dumps({"Statement": {**allowing("s3:ListBucket"), "Condition": began}})
        answer = sts.assume_role_with_web_identity(**asked(WebIdentityToken=issuer.token(), Policy=policy))
        return of_session(server, "s3", answer["Credentials"])

    assert session("DateGreaterThan").list_objects_v2(Bucket="bucket")["Name"] == "bucket"
    assert code_of(session("DateLessThan").list_objects_v2, Bucket="bucket") == "AccessDenied"


def test_a_session_may_be_narrowed_and_short(server, sts, issuer):
    policy = json.dumps({"Statement": allowing("s3:GetObject")})
    more = {"Policy": policy, "DurationSeconds": 900}
    answer = sts.assume_role_with_web_identity(**asked(WebIdentityToken=issuer.token(), **more))
    session = of_session(server, "s3", answer["Credentials"])
    assert code_of(session.put_object, Bucket="bucket", Key="k") == "AccessDenied"
    call = sts.assume_role_with_web_identity
    assert code_of(call, **asked(WebIdentityToken=issuer.token(), DurationSeconds=3601)) == "ValidationError"
    assert code_of(call, **asked(WebIdentityToken=issuer.token(), Policy="{}")) == "MalformedPolicyDocument"


def test_tokens_that_are_not_for_the_role_or_not_valid_are_refused(sts, issuer):
    call = sts.assume_role_with_web_identity
    for expected, role, token in (
        ("AccessDenied", "one", issuer.token(sub="repo:bob")),
        ("AccessDenied", "account", issuer.token()),
        ("AccessDenied", "none", issuer.token()),
        ("InvalidIdentityToken", "one", issuer.token(aud="else")),
        ("InvalidIdentityToken", "one", issuer.token(iss="https://else.example.com")),
        ("InvalidIdentityToken", "one", issuer.token(key=STRANGE_KEY)),
        ("InvalidIdentityToken", "one", "not.a.token"),
        ("ExpiredTokenException", "one", issuer.token(exp=1)),
    ):
        assert code_of(call, **asked(role, WebIdentityToken=token)) == expected
    call(**asked("team", WebIdentityToken=issuer.token(sub="repo:bob")))


def test_keys_are_fetched_once_and_unknown_ones_make_no_storm(sts, issuer):
    call = sts.assume_role_with_web_identity
    call(**asked(WebIdentityToken=issuer.token()))
    before = issuer.asked
    for number in range(20):
        call(**asked(WebIdentityToken=issuer.token()))
        token = issuer.token(key=NEXT_KEY, kid=f"unknown-{number}")
        assert code_of(call, **asked(WebIdentityToken=token)) == "InvalidIdentityToken"
    assert issuer.asked - before <= 2


TAGS = "https://aws.amazon.com/tags"
NESTED = {TAGS: {"principal_tags": {"team": ["blue"], "cost": "1"}, "transitive_tag_keys": ["team"]}}
FLAT = {f"{TAGS}/principal_tags/team": "blue", f"{TAGS}/transitive_tag_keys": ["team"]}
IDENTITY = {"https://aws.amazon.com/source_identity": "ann@example.com"}


@pytest.fixture
def tagging(server, issuer):
    """A role for who signs in, whose token may say tags and who is behind it, and whose policy asks for both."""
    iam, name = client(server, "iam", KEYS), issuer.url.removeprefix("http://")
    provider = f"arn:aws:iam::000000000000:oidc-provider/{name}"
    actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"]
    only = {"StringLikeIfExists": {"aws:RequestTag/team": "b*", "sts:SourceIdentity": "ann*"}}
    trust = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": actions, "Condition": only}
    iam.create_role(RoleName="tagging", AssumeRolePolicyDocument=json.dumps({"Statement": trust}))
    conditions = {"aws:PrincipalTag/team": "blue", "aws:FederatedProvider": provider}
    document = json.dumps({"Statement": allowing("s3:ListBucket", Condition={"StringEquals": conditions})})
    iam.put_role_policy(RoleName="tagging", PolicyName="p", PolicyDocument=document)
    yield "tagging"
    iam.delete_role_policy(RoleName="tagging", PolicyName="p")
    iam.delete_role(RoleName="tagging")


@pytest.mark.parametrize("tags", [NESTED, FLAT], ids=["in one claim", "in a claim each"])
def test_a_token_gives_its_session_tags(server, sts, issuer, tagging, tags):
    answer = sts.assume_role_with_web_identity(**asked(tagging, WebIdentityToken=issuer.token(**tags, **IDENTITY)))
    assert answer["SourceIdentity"] == "ann@example.com"
    of_session(server, "s3", answer["Credentials"]).list_objects_v2(Bucket="bucket")
    plain = sts.assume_role_with_web_identity(**asked(tagging, WebIdentityToken=issuer.token()))
    assert code_of(of_session(server, "s3", plain["Credentials"]).list_objects_v2, Bucket="bucket") == "AccessDenied"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({TAGS: {"principal_tags": {"team": ["red"]}}}, "AccessDenied"),
        ({"https://aws.amazon.com/source_identity": "bob"}, "AccessDenied"),
        ({TAGS: {"principal_tags": {"team": ["blue", "red"]}}}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": {"team": 1}}}, "InvalidIdentityToken"),
        ({TAGS: {"principal_tags": ["team"]}}, "InvalidIdentityToken"),
        ({TAGS: [{"principal_tags": {"team": ["blue"]}}]}, "InvalidIdentityToken"),
        ({f"{TAGS}/principal_tags/team": {"a": "b"}}, "InvalidIdentityToken"),
        ({"https://aws.amazon.com/source_identity": ["ann"]}, "InvalidIdentityToken"),
        ({"https://aws.amazon.com/source_identity": "ann b"}, "ValidationError"),
        ({TAGS: {"principal_tags": {"aws:team": ["blue"]}}}, "InvalidInput"),
        ({**NESTED, f"{TAGS}/principal_tags/Team": "red"}, "InvalidInput"),
        ({TAGS: {"transitive_tag_keys": ["team"]}}, "InvalidInput"),
    ],
)
def test_tags_of_a_token_that_are_none_or_not_taken_are_refused(sts, issuer, tagging, claims, code):
    call = asked(tagging, WebIdentityToken=issuer.token(**claims))
    assert code_of(sts.assume_role_with_web_identity, **call) == code


def test_a_role_that_takes_no_tags_takes_no_token_with_tags(sts, issuer):
    for claims in (NESTED, IDENTITY):
        call = asked(WebIdentityToken=issuer.token(**claims))
        assert code_of(sts.assume_role_with_web_identity, **call) == "AccessDenied"


def test_the_session_ends_with_its_role(server, sts, issuer):
    answer = sts.assume_role_with_web_identity(**asked("team", WebIdentityToken=issuer.token()))
    session = of_session(server, "s3", answer["Credentials"])
    session.list_objects_v2(Bucket="bucket")
    iam = client(server, "iam", KEYS)
    iam.delete_role_policy(RoleName="team", PolicyName="all")
    assert code_of(session.list_objects_v2, Bucket="bucket") == "AccessDenied"
    iam.delete_role(RoleName="team")
    assert code_of(session.list_objects_v2, Bucket="bucket") == "InvalidAccessKeyId"


def test_no_other_call_goes_without_a_signature(sts):
    assert code_of(sts.get_caller_identity) == "MissingAuthenticationToken"
    assert code_of(sts.assume_role, **asked()) == "MissingAuthenticationToken"
