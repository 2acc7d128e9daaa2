"""Start lines and variables of other servers, against a real process."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from typing import get_args

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from s3ish import dropin
from s3ish.config import ConfigError, Secret, Settings, members, variables
from s3ish.config_sources import load, variables_used
from s3ish.server.health import PATHS
from tests.waiting import WAIT_SECONDS

KEYS = ("rooted", "not-well-known")
MINIO = {"MINIO_ROOT_USER": KEYS[0], "MINIO_ROOT_PASSWORD": KEYS[1]}


class Started:
    """A command of s3ish that serves, as its greeting and its errors tell of it."""

    def __init__(self, *arguments, **variables):
        own = {name: text for name, text in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop
        self.process = subprocess.Popen(
            [sys.executable, "-m", "s3ish", *map(str, arguments)],
            env=own | {"S3ISH_FSYNC": "false", "S3ISH_WORKERS": "1"} | variables,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.greeting, self.endpoint = "", ""
        for line in self.process.stdout:
            self.greeting += line
            if found := re.search(r"endpoint\s+(http\S+)", line):
                self.endpoint = found[1]
            if " aws " in line:
                break

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_SECONDS)
        self.process.stdout.close()
        self._log.seek(0)
        self.logged = self._log.read()
        self._log.close()
        return self.logged


@pytest.fixture
def start():
    started = []

    def begin(*arguments, **variables):
        started.append(Started(*arguments, **variables))
        return started[-1]

    yield begin
    for each in started:
        if not each.process.stdout.closed:
            each.stop()


def client(endpoint, keys=KEYS, region="us-east-1"):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        region_name=region,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def test_the_start_line_of_minio(start, tmp_path):
    pattern = tmp_path / "drive{1...4}"
    server = start("server", pattern, "--address", "127.0.0.1:0", "--console-address", ":9001", **MINIO)
    client(server.endpoint).create_bucket(Bucket="made")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drive1", "drive2", "drive3", "drive4"]
    logged = server.stop()
    assert logged.count("ignored, for there is nothing like it: --console-address\n") == 1
    assert "from MINIO_ROOT_USER, of " in server.greeting
    assert KEYS[1] not in server.greeting + logged


def test_it_listens_on_all_addresses_unless_one_is_named(start, tmp_path):
    server = start("server", tmp_path, "--port", "0", **MINIO)
    assert server.greeting
    bound = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=False).stdout
    if bound:
        assert f"0.0.0.0:{server.endpoint.rpartition(':')[2]}" in bound
    named = start("server", tmp_path / "other", "--port", "0", S3ISH_HOST="127.0.0.1")
    assert client(named.endpoint, ("s3ishadmin", "s3ishadmin")).list_buckets()["Buckets"] == []


def test_signatures_for_any_region_are_taken_unless_one_is_named(start, tmp_path):
    """MinIO does so, and libcloud's driver for it names none at all."""
    server = start("server", tmp_path / "any", "--address", "127.0.0.1:0", **MINIO)
    for region in ("eu-west-1", "anywhere"):
        made = client(server.endpoint, region=region)
        made.create_bucket(Bucket=region, CreateBucketConfiguration={"LocationConstraint": region})
        assert made.get_bucket_location(Bucket=region)["LocationConstraint"] == region
    request = AWSRequest("GET", f"{server.endpoint}/anywhere")
    S3SigV4Auth(Credentials(*KEYS), "s3", "").add_auth(request)
    assert URLLib3Session().send(request.prepare()).status_code == 200
    named = start("server", tmp_path / "named", "--address", "127.0.0.1:0", **MINIO, MINIO_REGION="eu-west-1")
    client(named.endpoint, region="eu-west-1").list_buckets()
    with pytest.raises(ClientError, match="expecting 'eu-west-1'"):
        client(named.endpoint, region="anywhere").list_buckets()
    told = start("server", tmp_path / "told", "--address", "127.0.0.1:0", **MINIO, S3ISH_SERVER_ANY_REGION="false")
    with pytest.raises(ClientError, match="expecting 'us-east-1'"):
        client(told.endpoint, region="anywhere").list_buckets()


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_an_address_and_a_region_in_a_file_are_kept(start, tmp_path, how):
    file = tmp_path / "s3ish.toml"
    file.write_text('[server]\nhost = "127.0.0.1"\nport = 0\nregion = "eu-west-1"\n')
    flags, variables = (("--config", file), {}) if how == "flag" else ((), {"S3ISH_CONFIG": str(file)})
    server = start("server", tmp_path / "data", *flags, **variables)  # with keys that serve this machine only
    keys = "s3ishadmin", "s3ishadmin"
    client(server.endpoint, keys, region="eu-west-1").list_buckets()
    with pytest.raises(ClientError, match="expecting 'eu-west-1'"):
        client(server.endpoint, keys, region="anywhere").list_buckets()


def test_a_file_that_names_no_region_leaves_any(start, tmp_path):
    (tmp_path / "s3ish.toml").write_text("[log]\nslow_request_ms = 1000\n")
    arguments = "--address", "127.0.0.1:0", "--config", tmp_path / "s3ish.toml"
    server = start("server", tmp_path / "data", *arguments, **MINIO)
    assert client(server.endpoint, region="anywhere").list_buckets()["Buckets"] == []


def test_the_variables_of_minio(start, tmp_path):
    variables = MINIO | {
        "MINIO_VOLUMES": f"{tmp_path}/a{{01...02}} {tmp_path}/b",
        "MINIO_REGION": "eu-north-1",
        "MINIO_DOMAIN": "s3.test",
        "MINIO_SERVER_URL": "https://s3.example.com",
        "MINIO_DEFAULT_BUCKETS": "open:public, closed third",
        "MINIO_PROMETHEUS_AUTH_TYPE": "public",
        "MINIO_PORT": "tcp://10.0.0.1:9000",
        "MINIO_ADDRESS": "127.0.0.1:0",
    }
    server = start("server", **variables)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a01", "a02", "b"]
    assert server.endpoint == "https://s3.example.com"
    assert "server.region by MINIO_REGION" in server.greeting
    assert "storage.volumes by MINIO_VOLUMES" in server.greeting
    assert "eu-north-1" in server.greeting.split("\n")[-2]
    assert server.stop().count("variables that are not used: MINIO_PROMETHEUS_AUTH_TYPE\n") == 1


def test_options_that_the_service_file_of_minio_gives(start, tmp_path):
    options = "--address 127.0.0.1:1 --console-address ':9001' --json"
    server = start("server", tmp_path, "--address", "127.0.0.1:0", MINIO_OPTS=options, **MINIO)
    assert client(server.endpoint).list_buckets()["Buckets"] == []
    ignored, *rest = server.stop().splitlines()
    assert ignored == "s3ish: ignored, for there is nothing like it: --console-address"
    assert [json.loads(line)["event"] for line in rest][-1] == "stopped"


@pytest.mark.parametrize(
    ("options", "told"), [("--sftp :2022", "No such option"), ("--address '", "MINIO_OPTS: No closing")]
)
def test_options_of_minio_that_cannot_be_used_end_the_start(run_s3ish, tmp_path, options, told):
    ended = run_s3ish("server", tmp_path / "data", MINIO_OPTS=options, **MINIO)
    assert (ended.returncode, told in ended.stderr) == (2, True)
    assert not (tmp_path / "data").exists()


def test_what_stands_for_flags_of_another_command_is_said_to_be_unused(start, tmp_path):
    given = {"MINIO_OPTS": "--address :1", "MINIO_ADDRESS": ":1", "MINIO_CONSOLE_ADDRESS": ":1"}
    server = start("serve", tmp_path, "--port", "0", **given)
    assert server.stop().count("not used: MINIO_ADDRESS, MINIO_CONSOLE_ADDRESS, MINIO_OPTS\n") == 1


def test_default_buckets_are_there_at_the_first_request_and_public_ones_are_for_everybody(start, tmp_path):
    server = start(
        "serve", tmp_path, "--port", "0", MINIO_DEFAULT_BUCKETS="open:public,closed  held:lock third:versioned", **MINIO
    )
    s3 = client(server.endpoint)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["closed", "held", "open", "third"]
    assert s3.get_object_lock_configuration(Bucket="held")["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    assert s3.get_bucket_versioning(Bucket="held")["Status"] == "Enabled"
    assert s3.get_bucket_versioning(Bucket="third")["Status"] == "Enabled"
    s3.create_bucket(Bucket="made")
    made, *others = (
        s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
        for bucket in ("made", "open", "closed", "held", "third")
    )
    assert others == [made] * 4
    for bucket in ("open", "closed"):
        s3.put_object(Bucket=bucket, Key="a", Body=b"read me")
    assert urllib.request.urlopen(f"{server.endpoint}/open/a").read() == b"read me"
    assert b"<Key>a</Key>" in urllib.request.urlopen(f"{server.endpoint}/open").read()
    for method, path in (("GET", "closed/a"), ("PUT", "open/b"), ("DELETE", "open/a")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/{path}", method=method))


@pytest.mark.parametrize("name", dropin.BUCKETS)
def test_every_name_of_the_default_buckets(name):
    assert load(environment={name: "one, two three"}).storage.default_buckets == ("one", "two", "three")


def test_a_bucket_that_may_not_be_read_again_keeps_its_policy(start, tmp_path):
    first = start("serve", tmp_path, "--port", "0", "--bucket", "open:public", **MINIO)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open/*"}
        ],
    }
    client(first.endpoint).put_bucket_policy(Bucket="open", Policy=json.dumps(policy))
    first.stop()
    again = start("serve", tmp_path, "--port", "0", "--bucket", "open:public", **MINIO)
    assert json.loads(client(again.endpoint).get_bucket_policy(Bucket="open")["Policy"]) == policy


def test_flags_name_buckets_and_a_folder_of_objects(start, tmp_path):
    seed = tmp_path / "seed"
    (seed / "site" / "deep").mkdir(parents=True)
    (seed / "empty").mkdir()
    (seed / "site" / "index.html").write_text("<p>hello")
    (seed / "site" / "deep" / "large.bin").write_bytes(b"x" * 3_000_000)
    arguments = (
        "serve",
        tmp_path / "data",
        "--port",
        "0",
        "--seed",
        seed,
        "--bucket",
        "a1b",
        "--bucket",
        "site:versioned",
    )
    server = start(*arguments, **MINIO)
    s3 = client(server.endpoint)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["a1b", "empty", "site"]
    listed = s3.list_objects_v2(Bucket="site")["Contents"]
    assert [(each["Key"], each["Size"]) for each in listed] == [("deep/large.bin", 3_000_000), ("index.html", 8)]
    got = s3.get_object(Bucket="site", Key="index.html")
    assert (got["Body"].read(), got["ContentType"]) == (b"<p>hello", "text/html")
    assert s3.get_object(Bucket="site", Key="deep/large.bin")["Body"].read() == b"x" * 3_000_000
    s3.put_object(Bucket="site", Key="index.html", Body=b"changed")
    server.stop()
    s3 = client(start(*arguments, **MINIO).endpoint)
    assert s3.get_object(Bucket="site", Key="index.html")["Body"].read() == b"changed"
    assert len(s3.list_object_versions(Bucket="site")["Versions"]) == 3


def test_a_json_file_says_more_of_a_seeded_bucket(start, tmp_path):
    seed = tmp_path / "seed"
    (seed / "site" / "deep").mkdir(parents=True)
    for name in ("index.html", "deep/a.css", "deep/b.bin"):
        (seed / "site" / name).write_text(name)
    notes = {
        "options": ["versioned"],
        "objects": {
            "index.html": {
                "content_type": "text/html; charset=utf-8",
                "cache_control": "no-cache",
                "metadata": {"Author": "me"},
                "tags": {"a key": "a + b=c"},
            },
            "*.css": {"storage_class": "STANDARD_IA", "website_redirect": "/index.html"},
            "*": {"metadata": {"rest": "yes"}},
        },
    }
    (seed / "site.json").write_text(json.dumps(notes))
    (seed / "lone.json").write_text('{"options": ["lock"]}')
    s3 = client(start("serve", tmp_path / "data", "--port", "0", "--seed", seed, **MINIO).endpoint)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["lone", "site"]
    assert s3.get_bucket_versioning(Bucket="site")["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket="lone")["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    index = s3.get_object(Bucket="site", Key="index.html")
    assert index["Body"].read() == b"index.html"
    assert (index["ContentType"], index["CacheControl"]) == ("text/html; charset=utf-8", "no-cache")
    assert index["Metadata"] == {"author": "me"}
    assert s3.get_object_tagging(Bucket="site", Key="index.html")["TagSet"] == [{"Key": "a key", "Value": "a + b=c"}]
    style = s3.head_object(Bucket="site", Key="deep/a.css")
    assert (style["StorageClass"], style["WebsiteRedirectLocation"]) == ("STANDARD_IA", "/index.html")
    assert style["ContentType"] == "text/css"
    assert s3.head_object(Bucket="site", Key="deep/b.bin")["Metadata"] == {"rest": "yes"}


def _no_json(seed):
    (seed / "site").mkdir()
    (seed / "site.json").write_text("{'a'}")
    return "cannot make a bucket of {}/site: site.json: JSON is malformed"


def _no_note(seed):
    (seed / "site.json").write_text('{"objects": {"a": {"content-type": "x"}}}')
    return (
        "cannot make a bucket of {}/site: site.json: 'a': there is no field 'content-type'; there are: content_type, "
    )


def _no_part(seed):
    (seed / "site.json").write_text('{"object": {}}')
    return "cannot make a bucket of {}/site: site.json: there is no field 'object'; there are: options, objects"


def _no_text(seed):
    (seed / "site.json").write_text('{"objects": {"a": {"tags": {"n": 1}}}}')
    return "cannot make a bucket of {}/site: site.json: 'a': tags[...]: expected `str`, got `int`"


_NO_NOTES = (_no_note, _no_part, _no_text)


def _no_class(seed):
    (seed / "site").mkdir()
    (seed / "site" / "a").touch()
    (seed / "site.json").write_text('{"objects": {"a": {"storage_class": "GOLD"}}}')
    return "cannot make an object of {}/site/a: The storage class you specified is not valid"


def _no_folder(seed):
    (seed / "loose.txt").write_text("x")
    return "cannot make a bucket of {}/loose.txt: it is no folder"


def _no_name(seed):
    (seed / "Not_A_Bucket").mkdir()
    return "cannot make a bucket of {}/Not_A_Bucket: "


def _link(seed):
    (seed / "site").mkdir()
    (seed / "site" / "passwd").symlink_to("/etc/passwd")
    return "cannot make an object of {}/site/passwd: "


def _pipe(seed):
    (seed / "site").mkdir()
    os.mkfifo(seed / "site" / "pipe")
    return "cannot make an object of {}/site/pipe: it is no regular file"


def _missing(seed):
    seed.rmdir()
    return "cannot make the objects of {}: No such file or directory"


@pytest.mark.parametrize("spoil", [_no_folder, _no_name, _link, _pipe, _missing, _no_json, *_NO_NOTES, _no_class])
def test_a_seed_that_cannot_be_planted_ends_the_start_with_the_reason(run_s3ish, tmp_path, spoil):
    seed = tmp_path / "seed"
    seed.mkdir()
    reason = spoil(seed).format(seed)
    ended = run_s3ish("serve", tmp_path / "data", "--port", "0", "--seed", seed, S3ISH_FSYNC="false")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(f"s3ish: {reason}")
    assert "endpoint" not in ended.stdout


@pytest.mark.parametrize("option", ["locked", "pubic", "", "public:public:x"])
def test_an_option_of_a_bucket_that_is_not_known_is_refused(run_s3ish, tmp_path, option):
    ended = run_s3ish("serve", tmp_path / "data", "--bucket", f"name:{option}")
    assert ended.returncode == 78
    assert f"storage.default_buckets: name:{option} is not of the form" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--address", "9000"], "9000 is not of the form [HOST]:PORT"),
        (["--address", ":x"], ":x is not of the form [HOST]:PORT"),
        (["http://other/data"], "http://other/data is on another server"),
        (["/d{1...9999}"], "/d{1...9999} is not of the form DIR{1...4} with at most 256 directories"),
        (["/d{4...1}x{1...2}"], ""),
        (["/d{a...b}"], "/d{a...b} is not of the form DIR{1...4}"),
        (["--certs-dir", "/x"], "there is no public.crt in /x"),
        (["--certs-dir", ""], "there is no public.crt in "),
    ],
)
def test_a_start_line_that_means_something_else_is_refused(run_s3ish, arguments, says):
    ended = run_s3ish("server", *arguments)
    assert ended.returncode in (2, 78)
    assert says in ended.stderr


def test_ranges_of_directories():
    assert dropin.expand(["/d{1...3}", "/x"]) == ("/d1", "/d2", "/d3", "/x")
    assert dropin.expand(["/d{09...11}"]) == ("/d09", "/d10", "/d11")
    assert dropin.expand(["/m{1...2}/d{1...2}"]) == ("/m1/d1", "/m1/d2", "/m2/d1", "/m2/d2")
    with pytest.raises(ValueError, match="at most 256"):
        dropin.expand(["/d{1...255}{1...255}{1...255}"])
    with pytest.raises(ConfigError, match="MINIO_VOLUMES: http://a/b is on another server"):
        load(environment={"MINIO_VOLUMES": "http://a/b"})


def test_as_a_test_library_starts_minio(start, run_s3ish, tmp_path):
    """``server /data`` on all addresses, by keys that everybody knows, a probe of the health path, then a bucket."""
    library = {"MINIO_ROOT_USER": "minioadmin", "MINIO_ROOT_PASSWORD": "minioadmin"}
    refused = run_s3ish("server", tmp_path, "--address", ":0", **library)
    assert refused.returncode == 78
    assert "refusing to listen on 0.0.0.0 with well-known keys" in refused.stderr
    assert "set S3ISH_ALLOW_WELL_KNOWN_KEYS=true" in refused.stderr
    server = start("server", tmp_path, "--address", ":0", S3ISH_ALLOW_WELL_KNOWN_KEYS="true", **library)
    assert "WARNING: well-known keys are allowed" in server.greeting
    assert urllib.request.urlopen(f"{server.endpoint}/minio/health/live").status == 200
    s3 = client(server.endpoint, ("minioadmin", "minioadmin"))
    s3.create_bucket(Bucket="test-bucket")
    s3.put_object(Bucket="test-bucket", Key="a", Body=b"x")
    assert s3.get_object(Bucket="test-bucket", Key="a")["Body"].read() == b"x"


def test_a_secret_in_a_folder_of_secrets(start, tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "s3ish_access_key").write_text(KEYS[0] + "\n")
    (secrets / "S3ISH_SECRET_KEY").write_text(KEYS[1] + "\n")
    server = start("serve", tmp_path / "data", "--port", "0", CREDENTIALS_DIRECTORY=str(secrets))
    assert client(server.endpoint).list_buckets()["Buckets"] == []
    assert f"from {secrets}/s3ish_access_key, of " in server.greeting
    assert KEYS[1] not in server.greeting


def test_files_of_secrets_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("s3ish.config_sources.SECRETS_FOLDER", str(tmp_path))
    (tmp_path / "user").write_text("a")
    (tmp_path / "word").write_text("b")
    given = {"MINIO_ROOT_USER_FILE": "user", "MINIO_ROOT_PASSWORD_FILE": str(tmp_path / "word")}
    assert load(environment=given).root_keys == ("a", "b")
    with pytest.raises(ConfigError, match="cannot read none "):
        load(environment=given | {"MINIO_ROOT_USER_FILE": "none"})
    (tmp_path / "minio_root_user").write_text("c")
    (tmp_path / "minio_root_password").write_text("d")
    assert load(environment={}).root_keys == ("c", "d")
    assert load(environment={"S3ISH_ACCESS_KEY": "e", "S3ISH_SECRET_KEY": "f"}).root_keys == ("e", "f")


def test_every_secret_can_be_in_a_folder_of_secrets(tmp_path):
    text = base64.b64encode(bytes(32)).decode()
    secrets = [name for name, member in _secret_settings() if member is Secret]
    assert "encryption.master_key" in secrets
    for dotted in secrets:
        (tmp_path / variables(dotted)[0].lower()).write_text(text)
    settings = load(environment={"CREDENTIALS_DIRECTORY": str(tmp_path), "S3ISH_ACCESS_KEY_FILE": "s3ish_secret_key"})
    for dotted in secrets:
        section, name = dotted.split(".")
        assert getattr(getattr(settings, section), name).reveal() == text, dotted


def _secret_settings():
    """Yield the settings of all sections, and the type of each."""
    for section, table in members(Settings).items():
        for name, member in members(table.type).items():
            yield f"{section}.{name}", (get_args(member.type) or [member.type])[0]


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ({"GATEWAY_LISTEN": "127.0.0.1:4566"}, "127.0.0.1", 4566),
        ({"GATEWAY_LISTEN": "127.0.0.1:4566,127.0.0.1:443"}, "127.0.0.1", 4566),
        ({"GATEWAY_LISTEN": "127.0.0.1:4566", "S3ISH_PORT": "1"}, "127.0.0.1", 1),
        ({"GATEWAY_LISTEN": "4566", "S3ISH_HOST": "127.0.0.1"}, "127.0.0.1", 4566),
        ({"MOTO_HOST": "127.0.0.2", "MOTO_PORT": "5000"}, "127.0.0.2", 5000),
    ],
)
def test_where_other_servers_are_told_to_listen(given, host, port):
    server = load(environment=given).server
    assert (server.host, server.port) == (host, port)


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1:", ":x"])
def test_an_address_of_localstack_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="GATEWAY_LISTEN: "):
        load(environment={"GATEWAY_LISTEN": text})


def test_a_folder_of_s3mock_is_a_volume():
    given = {
        "COM_ADOBE_TESTING_S3MOCK_STORE_ROOT": "/a,b",
        "COM_ADOBE_TESTING_S3MOCK_STORE_RETAIN_FILES_ON_EXIT": "true",
    }
    assert load(environment=given).storage.volumes == ("/a,b",)
    assert variables_used(given)[1] == ["COM_ADOBE_TESTING_S3MOCK_STORE_RETAIN_FILES_ON_EXIT"]


def test_what_is_used_and_what_is_not():
    used, unused = variables_used(
        {"S3ISH_REGION": "x", "MINIO_REGION": "y", "MINIO_OPTS": "z", "MINIO_DOMAIN": "d.test"}
    )
    assert used == {"server.region": "S3ISH_REGION", "server.domains": "MINIO_DOMAIN"}
    assert unused == ["MINIO_OPTS", "MINIO_REGION"]
    lone = ["S3_SKIP_SIGNATURE_VALIDATION", "retainFilesOnExit", "validKmsKeys"]
    assert variables_used(dict.fromkeys(lone, "1")) == ({}, lone)


@pytest.mark.parametrize(
    "url", ["s3.test", "ftp://a", "http://", "http://a/b", "http://u@a", "http://a:99999", "http://a?b"]
)
def test_an_address_for_clients_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match=r"MINIO_SERVER_URL: server\.url: .* is not of the form"):
        load(environment={"MINIO_SERVER_URL": url})


@pytest.mark.parametrize(
    ("line", "library", "probe"),
    [  # the start lines and waits of the MinIO modules for Python, Java, Go and Node
        (("server", "/data", "--address", ":0"), ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"), "/minio/health/live"),
        (
            ("server", "/data", "--console-address", ":9001"),
            ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
            "/minio/health/live",
        ),
        (("server", "/data"), ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"), "/minio/health/ready"),
    ],
)
def test_as_modules_of_testcontainers_start_and_wait_for_minio(start, tmp_path, line, library, probe):
    line = [str(tmp_path) if it == "/data" else it for it in line]
    if "--address" not in line:
        line += ["--port", "0"]
    given = dict(zip(library, ("minioadmin", "minioadmin"), strict=True))
    server = start(*line, S3ISH_ALLOW_WELL_KNOWN_KEYS="true", **given)
    assert urllib.request.urlopen(server.endpoint + probe).status == 200
    s3 = client(server.endpoint, ("minioadmin", "minioadmin"))
    s3.create_bucket(Bucket="test-bucket")
    assert s3.head_bucket(Bucket="test-bucket")


def test_start_lines_that_begin_with_minio_and_make_folders_for_buckets(start, tmp_path):
    data = tmp_path / "data"
    (data / "uploads").mkdir(parents=True)
    line = ("minio", "server", "--address", "127.0.0.1:0", "--console-address", ":9001", data)
    server = start(*line, MINIO_DEFAULT_BUCKETS="other", **MINIO)
    assert [it["Name"] for it in client(server.endpoint).list_buckets()["Buckets"]] == ["other", "uploads"]
    server.stop()
    (data / "uploads").mkdir(exist_ok=True)  # the line is run again
    server = start(*line, **MINIO)
    assert [it["Name"] for it in client(server.endpoint).list_buckets()["Buckets"]] == ["other", "uploads"]


@pytest.mark.parametrize("spoil", ["uploads/a.txt", "a.txt", "Not_A_Bucket/"])
def test_folders_with_something_in_them_are_left_and_refused(run_s3ish, tmp_path, spoil):
    (tmp_path / "uploads").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / spoil).mkdir() if spoil.endswith("/") else (tmp_path / spoil).touch()
    ended = run_s3ish("minio", "server", tmp_path, "--port", "0", **MINIO)
    assert ended.returncode == 1
    assert "holds other files" in ended.stderr
    assert (tmp_path / "empty").is_dir()


def test_folders_outlast_a_start_that_fails(run_s3ish, tmp_path):
    (tmp_path / "data" / "uploads").mkdir(parents=True)
    (tmp_path / "public.crt").touch()
    line = ("minio", "server", tmp_path / "data", "--port", "0", "--certs-dir", tmp_path)
    ended = run_s3ish(*line, **MINIO)
    assert "holds no certificate" in ended.stderr
    assert (tmp_path / "data" / "uploads").is_dir()


def test_folders_become_buckets_in_start_lines_for_minio_alone(run_s3ish, tmp_path):
    (tmp_path / "uploads").mkdir()
    ended = run_s3ish("server", tmp_path, "--port", "0", **MINIO)
    assert "holds other files" in ended.stderr
    assert (tmp_path / "uploads").is_dir()


def test_a_folder_of_certificates_as_minio_has_it(tmp_path):
    with pytest.raises(ValueError, match=r"there is no public\.crt in "):
        dropin.certificates_in(str(tmp_path))
    for folder in (tmp_path, tmp_path / "b.example", tmp_path / "a.example"):
        folder.mkdir(exist_ok=True)
        (folder / "public.crt").touch()
    (tmp_path / "CAs").mkdir()
    folders = (f"{tmp_path}", f"{tmp_path}/a.example", f"{tmp_path}/b.example")
    wanted = (tuple(f"{it}/public.crt" for it in folders), tuple(f"{it}/private.key" for it in folders))
    assert dropin.certificates_in(str(tmp_path)) == wanted


def test_the_certificates_of_a_folder_are_served(start, run_s3ish, tmp_path):
    made = run_s3ish("cert", "--out", tmp_path / "certs")
    assert made.returncode == 0, made.stderr
    for name, source in (("public.crt", "cert.pem"), ("private.key", "key.pem")):
        (tmp_path / "certs" / source).rename(tmp_path / "certs" / name)
    server = start("server", "-S", tmp_path / "certs", tmp_path / "data", "--address", "127.0.0.1:0", **MINIO)
    assert server.endpoint.startswith("https://")


def ask_for_page(endpoint, path, origin, method="PUT"):
    """Send what a browser sends before a page of an origin may upload; return the status and the origin allowed."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-any"}
    asked = urllib.request.Request(endpoint + path, method="OPTIONS", headers=headers)
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.status, answer.headers["access-control-allow-origin"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers["access-control-allow-origin"]


@pytest.mark.parametrize(
    ("command", "given", "origin", "allowed"),
    [
        ("server", {}, "http://localhost:5173", "http://localhost:5173"),
        ("server", {}, "http://localhost.example", None),
        ("server", {"MINIO_API_CORS_ALLOW_ORIGIN": "https://app.example"}, "http://localhost:5173", None),
        (
            "serve",
            {"S3ISH_CORS_ORIGINS": "https://a.example, https://*.b.example"},
            "https://x.b.example",
            "https://x.b.example",
        ),
        ("serve", {}, "http://localhost:5173", None),
    ],
)
def test_pages_of_origins_that_settings_name_use_buckets_without_rules(
    start, tmp_path, command, given, origin, allowed
):
    server = start(command, tmp_path / "data", "--port", "0", S3ISH_DEFAULT_BUCKETS="made", **MINIO, **given)
    assert ask_for_page(server.endpoint, "/made/k", origin) == (200 if allowed else 403, allowed)
    assert ask_for_page(server.endpoint, "/", origin) == (403, None)
    s3 = client(server.endpoint)
    s3.put_object(Bucket="made", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": "made", "Key": "k"})
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Origin": origin})) as answer:
        assert answer.headers["access-control-allow-origin"] == allowed
        assert ("ETag" in answer.headers.get("access-control-expose-headers", "")) is bool(allowed)


def test_rules_of_a_bucket_take_the_place_of_those_of_settings(start, tmp_path):
    server = start("server", tmp_path / "data", "--port", "0", S3ISH_DEFAULT_BUCKETS="made", **MINIO)
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://app.example"], "AllowedHeaders": ["*"]}
    client(server.endpoint).put_bucket_cors(Bucket="made", CORSConfiguration={"CORSRules": [rule]})
    assert ask_for_page(server.endpoint, "/made/k", "http://localhost:5173") == (403, None)
    assert ask_for_page(server.endpoint, "/made/k", "https://app.example") == (200, "https://app.example")
    assert ask_for_page(server.endpoint, "/not-there/k", "http://localhost:5173")[0] == 200, "the page sees the 404"


def test_buckets_have_the_names_that_localstack_gives_them(start):
    server = start("serve", "--test", "--port", 0, "--bucket", "site:public")
    host = f"s3.localhost.localstack.cloud:{server.endpoint.rpartition(':')[2]}"
    for named, path in ((f"site.{host}", "/"), (host, "/site")):
        asked = urllib.request.Request(server.endpoint + path, headers={"Host": named})
        assert b"<Name>site</Name>" in urllib.request.urlopen(asked).read()


def test_as_modules_of_testcontainers_start_and_wait_for_localstack(start):
    """Of Python and Node, which wait for a line of the log, and of Java and Go, which ask for its health."""
    given = {
        "SERVICES": "s3",
        "DEBUG": "1",
        "LOCALSTACK_HOST": "localhost",
        "DOCKER_HOST": "unix:///var/run/docker.sock",
    }
    server = start("serve", "--test", S3ISH_PORT="0", **given)
    assert re.search(r"Ready\.\n", server.greeting + server.process.stdout.readline())
    health = json.load(urllib.request.urlopen(f"{server.endpoint}/_localstack/health"))
    assert health["services"]["s3"] == "running"
    s3 = client(server.endpoint, ("test", "test"), "eu-west-1")
    s3.create_bucket(Bucket="foo", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="foo", Key="bar", Body=b"baz")
    assert s3.get_object(Bucket="foo", Key="bar")["Body"].read() == b"baz"
    assert "LOCALSTACK_HOST" in server.stop()


@pytest.mark.parametrize("path", ["/minio/admin/v3/info", "/minio/admin/v3/add-user?accessKey=a", "/minio/admin/v4/x"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_the_admin_interface_of_minio_is_answered_with_one_sentence(start, path, method):
    server = start("serve", "--test", "--port", "0")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(server.endpoint + path, method=method))
    with refused.value as answer:
        told = json.load(answer)
    assert (answer.code, told["Code"]) == (501, "NotImplemented")
    assert "docs/replacing.md" in told["Message"]


def test_the_probes_of_other_servers(start, tmp_path):
    server = start("serve", tmp_path, "--port", "0", **MINIO)
    for path in sorted(PATHS):
        for method in ("GET", "HEAD"):
            answer = urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}{path}", method=method))
            assert (answer.status, bool(answer.read())) == (200, method == "GET"), path
    assert json.load(urllib.request.urlopen(f"{server.endpoint}/_localstack/health"))["services"] == {"s3": "running"}
    s3 = client(server.endpoint)
    s3.create_bucket(Bucket="health")
    s3.put_object(Bucket="health", Key="a", Body=b"x")
    assert s3.list_objects(Bucket="health")["Contents"][0]["Key"] == "a"
    assert s3.head_bucket(Bucket="health")["BucketRegion"] == "us-east-1"
    with pytest.raises(ClientError, match="InvalidBucketName"):
        s3.create_bucket(Bucket="minio")
