"""The registry of container images with its storage in S3: layers in pieces, a manifest, a deletion."""

import hashlib
import http.client
import json
import os
import random
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS = 30


def settings(port: int) -> str:
    """Return the registry's configuration."""
    return f"""
version: 0.1
log: {{level: error}}
http: {{addr: "127.0.0.1:{port}"}}
storage:
  delete: {{enabled: true}}
  s3:
    accesskey: {os.environ["AWS_ACCESS_KEY_ID"]}
    secretkey: {os.environ["AWS_SECRET_ACCESS_KEY"]}
    region: {os.environ["AWS_REGION"]}
    regionendpoint: {os.environ["AWS_ENDPOINT_URL"]}
    bucket: {os.environ["BUCKET"]}
    rootdirectory: /registry
    secure: false
    v4auth: true
    chunksize: 5242880
  redirect: {{disable: true}}
"""


class Registry:
    """Requests to the registry."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, url: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return answer.status, *told

    def push(self, data: bytes) -> str:
        """Store a layer in three pieces; return its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        status, headers, _ = self.ask("POST", "/v2/compat/blobs/uploads/")
        assert status == 202, status
        third = len(data) // 3 + 1
        for start in range(0, len(data), third):
            status, headers, text = self.ask(
                "PATCH", headers["location"], data[start : start + third], Content_Type="application/octet-stream"
            )
            assert status == 202, (status, text)
        place = headers["location"]
        status, _, text = self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}")
        assert status == 201, (status, text)
        return digest


def wait(port: int) -> None:
    """Wait until the registry answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the registry does not begin"
            time.sleep(0.1)
        else:
            return


def use(registry: Registry) -> str:
    """Push an image, pull it, delete its manifest."""
    layers = [random.Random(size).randbytes(size) for size in (100, 70_000, 16 << 20)]
    digests = [registry.push(layer) for layer in layers]
    for digest, layer in zip(digests, layers, strict=True):
        status, _, body = registry.ask("GET", f"/v2/compat/blobs/{digest}")
        assert (status, body) == (200, layer), f"{digest}: status {status}, {len(body)} bytes"
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    parts = [
        {"mediaType": "application/octet-stream", "size": len(layer), "digest": digest}
        for digest, layer in zip(digests, layers, strict=True)
    ]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": parts[0], "layers": parts[1:]}).encode()
    status, headers, text = registry.ask("PUT", "/v2/compat/manifests/latest", manifest, Content_Type=kind)
    assert status == 201, (status, text)
    assert registry.ask("GET", "/v2/compat/manifests/latest", Accept=kind)[2] == manifest
    assert json.loads(registry.ask("GET", "/v2/compat/tags/list")[2])["tags"] == ["latest"]
    assert registry.ask("DELETE", f"/v2/compat/manifests/{headers['docker-content-digest']}")[0] == 202
    assert registry.ask("GET", "/v2/compat/manifests/latest", Accept=kind)[0] == 404
    return f"{len(layers)} layers"


def main() -> None:
    """Run the registry and use it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yml")
        file.write_text(settings(port))
        plain = {name: text for name, text in os.environ.items() if not name.startswith("AWS")}
        process = subprocess.Popen(["docker-registry", "serve", file], env=plain)
        try:
            wait(port)
            print(use(Registry(port)))
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
