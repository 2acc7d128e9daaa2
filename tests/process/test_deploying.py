"""What the pages on running a server say, tried: a stock client through two proxies; the unit and manifests checked."""

import configparser
import gzip
import http.client
import io
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
import kubernetes_validate
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

import s3ish
from s3ish.cli.main import main
from s3ish.config import Settings
from s3ish.server.health import PATHS
from tests.waiting import WAIT_SECONDS, wait_until

ROOT = Path(__file__).parent.parent.parent
PROXIES_PAGE = (ROOT / "docs/tasks/proxy.md").read_text()
EXAMPLES = ROOT / "docs/examples"
UNIT, MANIFESTS = EXAMPLES / "s3ish.service", EXAMPLES / "kubernetes.yaml"
KEYS = [
    "plain",
    "a//b",
    "/first",
    "last/",
    "a/./b/../c",
    "per%cent %2F",
    "plus+and space",
    "ask?hash#and&equals=semi;colon,comma:at@",
    "quote'\"back\\slash[{(*!$~^`|<>",
    "\u00fc/\u65e5\u672c/\U0001f600",
    "tab\tand\x7f",
    "k" * 1000,
]
PROXIES = ["nginx", "caddy"]


def block(language):
    """Return the only block of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PROXIES_PAGE, re.M | re.S)
    return found


def replaced(text, **by):
    """Return a configuration with other values in place of those of the page."""
    for old, new in by.values():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def nginx(folder, port, server, certificate, key):
    """Return the command that starts nginx with the page's configuration."""
    site = replaced(
        block("nginx"),
        server=("127.0.0.1:9000", server),
        listen=("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        certificate=("/etc/ssl/s3.example.com.pem", str(certificate)),
        key=("/etc/ssl/s3.example.com.key", str(key)),
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
    )
    return ["nginx", "-c", path, "-e", "stderr", "-p", folder]


def caddy(folder, port, server, certificate, key):
    """Return the command that starts Caddy with the page's configuration."""
    site = replaced(
        block("caddyfile"),
        server=("127.0.0.1:9000", server),
        name=("s3.example.com {", f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}"),
    )
    path = folder / "Caddyfile"
    path.write_text(f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}/storage\n}}\n{site}")
    return ["caddy", "run", "--config", path, "--adapter", "caddyfile"]


class Proxied:
    """A server behind a proxy, and a client that reaches it through that."""

    def __init__(self, port, certificate):
        self.endpoint, self.port, self.certificate = f"https://localhost:{port}", port, certificate
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="s3ishadmin",
            aws_secret_access_key="s3ishadmin",
            region_name="us-east-1",
            verify=str(certificate),
            config=Config(s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}),
        )

    @property
    def context(self):
        """What trusts the proxy's certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, which makes the certificate of the proxy")
    folder = tmp_path_factory.mktemp("certificate")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key", "-out", folder / "certificate"]
    subprocess.run(made, check=True, capture_output=True)
    return folder / "certificate", folder / "key"


@pytest.fixture(scope="module", params=PROXIES)
def proxied(request, certificate, tmp_path_factory, start_shared_server):
    """A server behind each of the proxies, with a bucket ``things``."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    server, port = start_shared_server(folder / "data"), free_port()
    command = globals()[request.param](folder, port, server.endpoint.removeprefix("http://"), *certificate)
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log)
        try:
            proxied = Proxied(port, certificate[0])
            wait_until(lambda: process.poll() is not None or is_open(port))
            assert process.poll() is None, (folder / "log").read_text()
            proxied.s3.create_bucket(Bucket="things")
            yield proxied
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


def is_open(port):
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_a_key_goes_through_as_it_is(proxied, key):
    body = key.encode() * 3
    proxied.s3.put_object(Bucket="things", Key=key, Body=body)
    answer = proxied.s3.get_object(Bucket="things", Key=key)
    assert answer["Body"].read() == body
    assert not answer["ETag"].startswith("W/")
    listed = proxied.s3.list_objects_v2(Bucket="things", Prefix=key)
    assert key in [found["Key"] for found in listed["Contents"]]
    url = proxied.s3.generate_presigned_url("get_object", Params={"Bucket": "things", "Key": key})
    with urllib.request.urlopen(url, context=proxied.context, timeout=WAIT_SECONDS) as found:
        assert found.read() == body
    proxied.s3.delete_object(Bucket="things", Key=key)
    with pytest.raises(ClientError, match="NoSuchKey"):
        proxied.s3.get_object(Bucket="things", Key=key)


def test_metadata_of_any_name_goes_through(proxied):
    metadata = {"snake_case": "1", "dotted.name": "2", "plain": "3"}
    proxied.s3.put_object(Bucket="things", Key="metadata", Body=b"", Metadata=metadata)
    found = proxied.s3.head_object(Bucket="things", Key="metadata")["Metadata"]
    assert {name.lower(): value for name, value in found.items()} == metadata  # Caddy writes names in its own way


def test_large_bodies_go_through(proxied):
    body = bytes(range(256)) * (20 << 12)
    proxied.s3.upload_fileobj(io.BytesIO(body), "things", "large")  # in parts, with checksums in trailers
    assert proxied.s3.get_object(Bucket="things", Key="large")["Body"].read() == body
    part = proxied.s3.get_object(Bucket="things", Key="large", Range="bytes=8388600-8388615")
    assert part["Body"].read() == body[8388600:8388616]
    proxied.s3.put_object(Bucket="things", Key="whole", Body=io.BytesIO(body))
    assert proxied.s3.head_object(Bucket="things", Key="whole")["ContentLength"] == len(body)


def test_an_object_that_is_compressed_stays_so(proxied):
    body = gzip.compress(b"text " * 1000)
    proxied.s3.put_object(Bucket="things", Key="packed", Body=body, ContentEncoding="gzip")
    url = proxied.s3.generate_presigned_url("get_object", Params={"Bucket": "things", "Key": "packed"})
    connection = http.client.HTTPSConnection("localhost", proxied.port, context=proxied.context, timeout=WAIT_SECONDS)
    connection.putrequest("GET", url.removeprefix(proxied.endpoint), skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.read() == body
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(body)
    connection.close()


def test_errors_and_conditions_go_through(proxied):
    proxied.s3.put_object(Bucket="things", Key="once", Body=b"first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        proxied.s3.put_object(Bucket="things", Key="once", Body=b"second", IfNoneMatch="*")
    etag = proxied.s3.head_object(Bucket="things", Key="once")["ETag"]
    with pytest.raises(ClientError, match="304"):
        proxied.s3.get_object(Bucket="things", Key="once", IfNoneMatch=etag)
    with pytest.raises(ClientError, match="InvalidRange"):
        proxied.s3.get_object(Bucket="things", Key="once", Range="bytes=10-")


# --- the unit of systemd


def test_the_unit_starts_what_there_is_and_leaves_wrong_settings_alone():
    unit = configparser.ConfigParser(interpolation=None, strict=False)  # SystemCallFilter stands there twice
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    _, command, *arguments = service["ExecStart"].split()
    drives = [argument for argument in arguments if argument.startswith("/srv")]
    assert command in main.commands
    assert "--config" in {name for option in main.commands[command].params for name in option.opts}
    assert unit["Unit"]["RequiresMountsFor"].split() == drives
    assert all(drive.startswith(f"{service['ReadWritePaths']}/") for drive in drives)
    assert service["RestartPreventExitStatus"] == "78"
    assert service["Type"] == "notify"  # tests/process/test_notify.py
    assert int(service["TimeoutStopSec"]) > Settings().server.shutdown_seconds


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_finds_it_as_hard_as_the_page_says(tmp_path):
    there = tmp_path / "s3ish.service"
    there.write_text(UNIT.read_text().replace("/opt/s3ish/bin/s3ish", sys.executable))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", there], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    (level,) = re.findall(r"exposure level is (\d+\.\d)", (ROOT / "docs/tasks/systemd.md").read_text())
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={round(float(level) * 10)}", there],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-200:] + rated.stderr


def calls_of(name):
    """Return the system calls of a set of systemd, those of sets in it as well."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = [line.split()[0] for line in listed.stdout.splitlines()[1:] if line.startswith("    ")]
    found = {word for word in words if re.fullmatch(r"[a-z]\w*", word)}
    return found.union(*(calls_of(word) for word in words if word.startswith("@")))


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("strace") and shutil.which("systemd-analyze")), reason="strace or systemd-analyze is missing"
)
def test_the_unit_allows_the_system_calls_that_a_server_makes(tmp_path):
    allowed, denied = re.findall(r"^SystemCallFilter=(~?)(@.*)$", UNIT.read_text(), re.M)
    assert (allowed, denied) == (("", "@system-service"), ("~", "@privileged"))
    drives = [tmp_path / f"drive{number}" for number in range(3)]
    for drive in drives:
        drive.mkdir()
    trace, port = tmp_path / "trace", free_port()
    serve = [sys.executable, "-m", "s3ish", "serve", *drives, "--port", str(port), "--bucket", "things"]
    with subprocess.Popen(
        ["strace", "-f", "-qq", "-o", trace, *serve],
        env={name: value for name, value in os.environ.items() if not name.startswith(("S3ISH", "AWS", "MINIO"))}
        | {"S3ISH_WORKERS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as traced:
        assert any(line == "Ready.\n" for line in traced.stdout)
        s3 = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="s3ishadmin",
            aws_secret_access_key="s3ishadmin",
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, read_timeout=WAIT_SECONDS),
        )
        s3.upload_fileobj(io.BytesIO(bytes(10 << 20)), "things", "large")
        s3.copy_object(Bucket="things", Key="copy", CopySource="things/large")
        assert len(s3.get_object(Bucket="things", Key="copy")["Body"].read()) == 10 << 20
        s3.delete_object(Bucket="things", Key="large")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/metrics", timeout=WAIT_SECONDS) as answer:
            assert answer.status == 200
        children = Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
    made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
    assert {"epoll_ctl", "fsync", "link", "linkat", "rename"} & made
    own = {"fchown"} if os.geteuid() == 0 else set()  # SQLite gives its files to root then
    assert made - own <= calls_of("@system-service") - calls_of("@privileged")


# --- the manifests of Kubernetes


@pytest.mark.parametrize("version", ["1.28.0", "1.32.0", "1.36.0"])
def test_the_manifests_are_what_kubernetes_takes(version):
    for manifest in yaml.safe_load_all(MANIFESTS.read_text()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_with_a_wrong_field_is_refused():
    *_, stateful = yaml.safe_load_all(MANIFESTS.read_text())
    stateful["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessprobe"):
        kubernetes_validate.validate(stateful, "1.36.0", strict=True)


def test_the_manifests_fit_the_image():
    secret, service, budget, stateful = yaml.safe_load_all(MANIFESTS.read_text())
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    image = (ROOT / "Dockerfile").read_text()
    user = pod["securityContext"]["runAsUser"]
    assert pod["securityContext"]["runAsGroup"] == pod["securityContext"]["fsGroup"] == user
    assert f"USER {user}:{user}" in image
    assert f"install -d -o {user} -g {user}" in (ROOT / "docs/tasks/containers.md").read_text()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in PATHS
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {*re.findall(r"^VOLUME (\S+)", image, re.M), "/tmp"}
    assert str(container["ports"][0]["containerPort"]) in re.findall(r"^EXPOSE (\d+)", image, re.M)
    named = {it["valueFrom"]["secretKeyRef"]["key"] for it in container["env"]}
    assert named == set(secret["stringData"])
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
    assert container["image"] == f"s3ish:{s3ish.__version__}"
