"""The commands for users, groups, policies and roles, against a running server."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.cli.admin_client import AdminClient, Credentials

READ = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]})


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """A running server in memory; it ends well."""
    with (tmp_path_factory.mktemp("log") / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", "serve", "--test", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        yield next(found[1] for line in process.stdout if (found := re.search(r"endpoint\s+(http://\S+)", line)))
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


@pytest.fixture
def s3ish(endpoint, run_s3ish):
    """A function that runs a command as the root user of the server; it returns what was printed."""

    def run(*arguments, code=0, **environment):
        given = {"S3ISH_ACCESS_KEY": "test", "S3ISH_SECRET_KEY": "test", "AWS_ENDPOINT_URL": endpoint, **environment}
        ended = run_s3ish(*arguments, **given)
        assert ended.returncode == code, ended.stderr
        return ended.stderr if code else ended.stdout

    return run


def s3_of(endpoint, keys):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.mark.parametrize("noun", ["user", "group", "role"])
def test_a_list_of_nothing_says_so_to_people(endpoint, run_s3ish, noun):
    given = {"S3ISH_ACCESS_KEY": "test", "S3ISH_SECRET_KEY": "test", "AWS_ENDPOINT_URL": endpoint}
    told = run_s3ish(noun, "ls", **given)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", f"s3ish: there are no {noun}s\n")
    told = run_s3ish(noun, "ls", "--json", **given)
    assert (json.loads(told.stdout), told.stderr) == ([], "")


def test_a_user_from_its_first_key_to_its_end(s3ish, endpoint):
    printed = s3ish("user", "add", "alice", "--policy", "readwrite")
    keys = re.search(r"access key  (\S+)\nsecret key  (\S+)  \(shown once\)", printed).groups()
    theirs = s3_of(endpoint, keys)
    theirs.create_bucket(Bucket="of-alice")
    shown = s3ish("user", "show", "alice")
    assert f"key       {keys[0]}  active" in shown
    assert keys[1] not in shown
    assert "alice" in s3ish("user", "ls")
    s3ish("user", "key", "disable", "alice", keys[0])
    with pytest.raises(ClientError):
        theirs.list_buckets()
    s3ish("user", "key", "enable", "alice", keys[0])
    theirs.list_buckets()
    second = json.loads(s3ish("user", "key", "add", "alice", "--json"))
    s3_of(endpoint, (second["access_key"], second["secret_key"])).list_buckets()
    s3ish("user", "key", "rm", "alice", second["access_key"])
    assert [key["access_key"] for key in json.loads(s3ish("user", "show", "alice", "--json"))["keys"]] == [keys[0]]
    s3ish("user", "rm", "alice")
    assert "NoSuchEntity" in s3ish("user", "show", "alice", code=1)


def test_what_bounds_users_and_roles(s3ish, tmp_path):
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    (tmp_path / "trust.json").write_text(json.dumps({"Statement": trust}))
    (tmp_path / "other.json").write_text(json.dumps({"Statement": {**trust, "Principal": "*"}}))
    s3ish("user", "add", "bounded", "--no-key", "--boundary", "readonly")
    s3ish("role", "add", "bounded", "trust.json", "--boundary", "readonly")
    for noun in ("user", "role"):
        assert "boundary  arn:aws:iam::aws:policy/readonly" in s3ish(noun, "show", "bounded")
        s3ish(noun, "boundary", "set", "bounded", "readwrite")
        assert json.loads(s3ish(noun, "show", "bounded", "--json"))["boundary"] == "arn:aws:iam::aws:policy/readwrite"
        s3ish(noun, "boundary", "rm", "bounded")
        assert "boundary  -" in s3ish(noun, "show", "bounded")
        assert "NoSuchEntity" in s3ish(noun, "boundary", "rm", "bounded", code=1)
    s3ish("role", "trust", "bounded", "other.json")
    assert '"Principal": "*"' in s3ish("role", "show", "bounded")
    s3ish("group", "add", "some", "--json")
    s3ish("group", "join", "some", "bounded")
    assert "users     bounded" in s3ish("group", "show", "some")
    s3ish("group", "leave", "some", "bounded")
    s3ish("group", "rm", "some")
    s3ish("user", "rm", "bounded")
    s3ish("role", "rm", "bounded")


def test_groups_policies_and_roles(s3ish, endpoint, tmp_path):
    document = tmp_path / "policy.json"
    document.write_text(READ)
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    (tmp_path / "trust.json").write_text(json.dumps({"Statement": trust}))
    s3ish("policy", "put", "reading", document)
    assert json.loads(s3ish("policy", "show", "reading")) == json.loads(READ)
    assert "reading" in s3ish("policy", "ls")
    s3ish("group", "add", "staff")
    s3ish("group", "policy", "attach", "staff", "reading")
    s3ish("user", "add", "bob", "--no-key")
    s3ish("group", "join", "staff", "bob")
    assert re.search(r"staff +policies reading +users bob", s3ish("group", "ls"))
    s3ish("user", "policy", "put", "bob", "own", document)
    assert json.loads(s3ish("user", "policy", "show", "bob", "own")) == json.loads(READ)
    assert json.loads(s3ish("user", "ls", "--json"))[0]["inline"] == ["own"]
    s3ish("role", "add", "reader", tmp_path / "trust.json")
    s3ish("role", "policy", "attach", "reader", "readonly")
    assert "readonly" in s3ish("role", "ls")
    assert "DeleteConflict" in s3ish("policy", "rm", "reading", code=1)
    assert "DeleteConflict" in s3ish("group", "rm", "staff", code=1)
    s3ish("group", "leave", "staff", "bob")
    s3ish("group", "policy", "detach", "staff", "reading")
    s3ish("user", "policy", "rm", "bob", "own")
    for what, name in (("group", "staff"), ("policy", "reading"), ("role", "reader"), ("user", "bob")):
        s3ish(what, "rm", name)
    assert json.loads(s3ish("user", "ls", "--json")) == []


def test_a_key_of_ones_own_and_another_caller(s3ish, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a-secret-of-mine\n")
    administrator = ("--access-key", "admin-key", "--secret-key-file", secret)
    s3ish("user", "add", "admin", "--new-access-key", "admin-key", "--new-secret-key-file", secret)
    assert "AccessDenied" in s3ish("user", "ls", *administrator, code=1)
    s3ish("user", "policy", "attach", "admin", "AdministratorAccess")
    assert "admin" in s3ish("user", "ls", *administrator)
    secret.write_text("another")
    assert "SignatureDoesNotMatch" in s3ish("user", "ls", *administrator, code=1)
    s3ish("user", "rm", "admin")


def test_what_goes_wrong_is_said_in_one_line(s3ish, tmp_path):
    for code, arguments, told in (
        (1, ("user", "ls", "--endpoint-url", "http://127.0.0.1:1"), "does not answer"),
        (1, ("user", "ls", "--endpoint-url", "ftp://x"), "not of the form"),
        (1, ("user", "add", "a/b"), "ValidationError"),
        (1, ("policy", "put", "x", tmp_path / "none"), "cannot read"),
        (2, ("user", "ls", "--access-key", "x"), "come together"),
        (2, ("user", "add"), "Missing argument"),
        (78, ("user", "ls", "--config", tmp_path / "none"), "none"),
    ):
        printed = s3ish(*arguments, code=code)
        assert told in printed
        assert "Traceback" not in printed


def test_the_commands_in_the_documents_work(s3ish, endpoint, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    text = page.partition("## One team")[0]  # tests/test_access_page.py runs the rest
    bounds, trust = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "trust.json").write_text(trust)
    (tmp_path / "bounds.json").write_text(bounds)
    s3ish("policy", "put", "makers", "bounds.json")
    s3ish("policy", "rm", "makers")
    ran = []
    for line in re.findall(r"^\$ (s3ish (?:user|group|policy|role) .*)$", text, re.MULTILINE):
        _, *arguments = shlex.split(line)
        s3ish(*arguments)
        ran.append(arguments[:2])
    assert {("user", "rm"), ("role", "add")} <= set(map(tuple, ran))
    s3ish("role", "rm", "deployer")
    of_users, of_owners = re.findall(r"^\$ (curl .*?'\{.*?\}')$", text, re.MULTILINE | re.DOTALL)
    body, owner = (re.search(r"--json '(.*)'", curl)[1] for curl in (of_users, of_owners))
    client = AdminClient(endpoint, Credentials("test", "test"), "us-east-1")
    made = client.call("POST", "users", body=json.loads(body))
    s3_of(endpoint, (made["key"]["access_key"], made["key"]["secret_key"])).create_bucket(Bucket="of-app")
    assert "/-/admin/buckets/site/owner " in of_owners
    assert client.call("PUT", "buckets", "of-app", "owner", body=json.loads(owner))["owner"] == "s3ish-root"
    s3ish("user", "rm", made["name"])
