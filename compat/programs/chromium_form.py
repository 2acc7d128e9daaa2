"""Chromium: a form with a file, sent to a bucket by a real browser; and scripts of a page that read and write there.

Two pages of two origins do the same. The rules of the bucket (CORS) allow one of them: the browser shows the other
neither the answers nor lets it send what needs a preflight. What a script finds it reports to the server of its page.
"""

import contextlib
import functools
import http.server
import json
import os
import queue
import subprocess
import tempfile
import threading
from typing import Any, Self

import boto3
from botocore.config import Config

REPORT_SECONDS = 60
BODY = "a file of the browser's: ü\n" * 1000

FORM = """<!doctype html><meta charset="utf-8"><title>form</title>
<form method="post" enctype="multipart/form-data"><input type="file" name="file"></form>
<script>
const given = GIVEN;
const form = document.forms[0];
for (const [name, value] of Object.entries(given.form.fields)) {
  const input = Object.assign(document.createElement("input"), {type: "hidden", name, value});
  form.insertBefore(input, form.firstChild);
}
const files = new DataTransfer();
files.items.add(new File([given.body], "ü photo.txt", {type: "text/plain"}));
form.elements.file.files = files.files;
form.action = given.form.url;
form.submit();
</script>"""

DONE = """<!doctype html><meta charset="utf-8"><title>done</title>
<script>
const given = GIVEN;
const tried = async (url, init) => {
  try {
    const answer = await fetch(url, init);
    return {status: answer.status, text: await answer.text(),
            etag: answer.headers.get("etag"), secret: answer.headers.get("x-amz-request-id")};
  } catch (error) { return {failed: String(error)}; }
};
const posted = () => {
  const data = new FormData();
  for (const [name, value] of Object.entries(given.other.fields)) data.append(name, value);
  data.set("key", "elsewhere");
  data.append("file", new Blob([given.body]));
  return data;
};
(async () => {
  const report = {
    query: Object.fromEntries(new URLSearchParams(location.search)),
    range: await tried(given.get, {headers: {Range: "bytes=2-5"}}),
    put: await tried(given.put, {method: "PUT", body: given.body, headers: {"x-amz-meta-of": "script"}}),
    none: await tried(given.none),
    refused: await tried(given.other.url, {method: "POST", body: posted()}),
  };
  await fetch("/report", {method: "POST", body: JSON.stringify(report)});
})();
</script>"""


class Site:
    """Pages on an origin of their own; ``reports`` has what their scripts found."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Answers, self))
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Answers(http.server.BaseHTTPRequestHandler):
    def __init__(self, site: Site, *place: Any) -> None:
        self._site = site
        super().__init__(*place)

    def do_GET(self) -> None:
        page = self._site.pages.get(self.path.partition("?")[0])
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write((page or "").encode())

    def do_POST(self) -> None:
        self._site.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


@contextlib.contextmanager
def browser(url: str):
    """Show a page in a browser with a profile of its own, until the block ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        process = subprocess.Popen(
            [*command, "--remote-debugging-port=0", f"--user-data-dir={profile}", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def shown_to(site: Site, s3: Any, bucket: str) -> dict[str, Any]:
    """Send a form from a page of a site, and return what the page that follows reports."""
    sign = functools.partial(s3.generate_presigned_url, ExpiresIn=300)
    done = f"{site.origin}/done?of=form"
    fields = {
        "success_action_redirect": done,
        "Content-Type": "text/plain",
        "x-amz-meta-of": "form ü",
        "tagging": "<Tagging><TagSet><Tag><Key>from</Key><Value>form</Value></Tag></TagSet></Tagging>",
    }
    limits = [["content-length-range", 1, 100_000], *({name: text} for name, text in fields.items())]
    given = {
        "body": BODY,
        "form": s3.generate_presigned_post(bucket, "from/${filename}", fields, limits),
        "other": s3.generate_presigned_post(bucket, "only/this"),
        "get": sign("get_object", {"Bucket": bucket, "Key": "there"}),
        "none": sign("get_object", {"Bucket": bucket, "Key": "none"}),
        "put": sign("put_object", {"Bucket": bucket, "Key": "script", "Metadata": {"of": "script"}}),
    }
    for path, page in (("/form", FORM), ("/done", DONE)):
        site.pages[path] = page.replace("GIVEN", json.dumps(given).replace("<", "\\u003c"))
    with browser(f"{site.origin}/form"):
        return site.reports.get(timeout=REPORT_SECONDS)


def main() -> None:
    """Use a bucket from a page that its rules allow, and from another."""
    bucket, settings = os.environ["BUCKET"], Config(signature_version="s3v4", s3={"addressing_style": "path"})
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=settings)
    s3.put_object(Bucket=bucket, Key="there", Body=b"0123456789")
    with Site() as allowed, Site() as other:
        methods = {"AllowedMethods": ["GET", "PUT", "POST"], "AllowedHeaders": ["range", "x-amz-meta-*"]}
        rule = {"AllowedOrigins": [allowed.origin], "ExposeHeaders": ["ETag"], **methods}
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

        report = shown_to(allowed, s3, bucket)
        stored = s3.get_object(Bucket=bucket, Key="from/ü photo.txt")
        assert stored["Body"].read().decode() == BODY
        assert (stored["ContentType"], stored["TagCount"]) == ("text/plain", 1), stored
        assert report["query"] == {
            "of": "form",
            "bucket": bucket,
            "key": "from/ü photo.txt",
            "etag": stored["ETag"],
        }, report["query"]
        assert (report["range"]["status"], report["range"]["text"]) == (206, "2345"), report["range"]
        assert report["range"]["etag"], "the header that the rules expose is not shown"
        assert report["range"]["secret"] is None, "a header is shown that the rules do not expose"
        assert report["put"]["status"] == 200, report["put"]
        assert s3.head_object(Bucket=bucket, Key="script")["Metadata"] == {"of": "script"}
        assert (report["none"]["status"], "NoSuchKey" in report["none"]["text"]) == (404, True), report["none"]
        assert (report["refused"]["status"], "AccessDenied" in report["refused"]["text"]) == (403, True), report

        s3.delete_object(Bucket=bucket, Key="script")
        report = shown_to(other, s3, bucket)
        failed = {name: found for name, found in report.items() if name != "query"}
        assert all(found.get("failed") for found in failed.values()), failed
        assert report["query"]["key"] == "from/ü photo.txt", "a form needs no rule"
        assert "script" not in {item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    print(f"2 forms, {len(failed)} requests of scripts that were shown, {len(failed)} that were not")


if __name__ == "__main__":
    main()
