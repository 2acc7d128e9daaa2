"""The examples of docs/access.md do what the page says; tests/cli/test_admin.py runs those of users at run time."""

import json
import re
import shlex
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3ish.auth.actions import CONDITION_FAMILIES, CONDITION_KEYS

PAGE = (Path(__file__).parent.parent / "docs" / "access.md").read_text()
ROOT = ("s3ishadmin", "s3ishadmin", None)
ORIGIN = "https://app.example.com"


def section(title):
    found = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert found
    return found


def documents(text):
    """The JSON in quotation marks of the commands of a section."""
    return [json.loads(found) for found in re.findall(r"'(\{.*?\})'", text, re.DOTALL)]


def client(endpoint, keys, service="s3"):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        aws_session_token=keys[2],
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def denied(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def fetched(url):
    """The status of a GET without keys."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def served(start_server, tmp_path):
    """A server with the configuration of the page: its endpoint."""
    (configuration,) = re.findall(r"```toml\n(.*?)```", section("A user for CI, below one prefix"), re.DOTALL)
    (tmp_path / "s3ish.toml").write_text(configuration)
    return start_server(tmp_path / "data", "--config", tmp_path / "s3ish.toml").endpoint


def test_a_bucket_that_everybody_may_read(served):
    s3 = client(served, ROOT)
    s3.create_bucket(Bucket="site")
    s3.put_object(Bucket="site", Key="index.html", Body=b"hello")
    assert fetched(f"{served}/site/index.html") == 403
    (policy,) = documents(section("A bucket that everybody may read"))
    s3.put_bucket_policy(Bucket="site", Policy=json.dumps(policy))
    assert fetched(f"{served}/site/index.html") == 200
    assert fetched(f"{served}/site") == 403
    s3.put_public_access_block(Bucket="site", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert fetched(f"{served}/site/index.html") == 403


def test_a_user_for_ci_below_one_prefix(served):
    (configuration,) = re.findall(r"```toml\n(.*?)```", section("A user for CI, below one prefix"), re.DOTALL)
    user = tomllib.loads(configuration)["auth"]["users"][0]
    client(served, ROOT).create_bucket(Bucket="artifacts")
    ci = client(served, (user["access_key"], user["secret_key"], None))
    ci.put_object(Bucket="artifacts", Key="ci/build", Body=b"x")
    assert ci.get_object(Bucket="artifacts", Key="ci/build")["Body"].read() == b"x"
    assert ci.list_objects_v2(Bucket="artifacts", Prefix="ci/")["KeyCount"] == 1
    denied(ci.list_objects_v2, Bucket="artifacts")
    denied(ci.put_object, Bucket="artifacts", Key="other/build", Body=b"x")
    denied(ci.delete_object, Bucket="artifacts", Key="ci/build")


def test_an_upload_by_a_browser(served):
    s3 = client(served, ROOT)
    s3.create_bucket(Bucket="inbox")
    cors, policy = documents(section("An upload by a browser"))
    s3.put_bucket_cors(Bucket="inbox", CORSConfiguration=cors)
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    question = urllib.request.Request(f"{served}/inbox/photo", method="OPTIONS", headers=asks)
    with urllib.request.urlopen(question, timeout=20) as answer:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    issued = client(served, ROOT, "sts").assume_role(
        RoleArn="arn:aws:iam::000000000000:role/browser",
        RoleSessionName="page",
        DurationSeconds=900,
        Policy=json.dumps(policy),
    )["Credentials"]
    page = client(served, (issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"]))
    page.put_object(Bucket="inbox", Key="photo", Body=b"x")
    denied(page.get_object, Bucket="inbox", Key="photo")
    denied(page.put_object, Bucket="other", Key="photo", Body=b"x")


def test_one_team_with_three_roles(served, run_s3ish, tmp_path):
    text = section("One team with three roles")
    (policy,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "developers.json").write_text(policy)
    keys = {}
    for command in re.findall(r"^\$ s3ish (.*)$", text, re.MULTILINE):
        arguments = shlex.split(command)
        done = run_s3ish(*arguments, "--endpoint-url", served, "--json")
        assert done.returncode == 0, done.stderr
        if arguments[:2] == ["user", "add"]:
            key = json.loads(done.stdout)["key"]
            keys[arguments[2]] = (key["access_key"], key["secret_key"], None)
    ann, dev, aud = (client(served, keys[name]) for name in ("ann", "dev", "aud"))
    ann.create_bucket(Bucket="project")
    ann.put_object(Bucket="project", Key="releases/1.0", Body=b"x")
    dev.put_object(Bucket="project", Key="draft", Body=b"x")
    dev.delete_object(Bucket="project", Key="draft")
    denied(dev.delete_object, Bucket="project", Key="releases/1.0")
    denied(dev.create_bucket, Bucket="other")
    assert aud.get_object(Bucket="project", Key="releases/1.0")["Body"].read() == b"x"
    denied(aud.put_object, Bucket="project", Key="x", Body=b"x")
    command = re.search(r"`s3ish (explain [^`]*)`", text)[1]
    told = run_s3ish(*shlex.split(command), "--endpoint-url", served).stdout
    assert told.startswith("denied by statement 3 ")


def test_every_condition_key_stands_on_the_page_and_no_other():
    text = section("What conditions can ask").lower()
    of_headers = next(line for line in text.splitlines() if line.startswith("| `s3:x-amz-…`")).split("|")[1]
    named = {f"s3:x-amz-{name}" for name in re.findall("`([a-z0-9-]+)`", of_headers)}
    named |= {name.removesuffix("…") for name in re.findall("`((?:aws|s3|ec2|lambda|ssm):[^`]+)`", text)}
    assert named - {"s3:x-amz-", "aws:", "s3:", "s3:*"} == CONDITION_KEYS | set(CONDITION_FAMILIES)
