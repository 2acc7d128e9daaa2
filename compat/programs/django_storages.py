"""django-storages: a site's static files collected twice, and what its visitors upload, read by signed addresses."""

import io
import json
import os
import random
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import django
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command

FILES = 30
LARGE = random.Random("large").randbytes(20 << 20)


def backend(kind: str, **options: object) -> dict[str, object]:
    """Return the declaration of a storage in the bucket."""
    common = {"bucket_name": os.environ["BUCKET"], "endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
    return {"BACKEND": f"storages.backends.s3.{kind}", "OPTIONS": common | options}


def configure(static: Path) -> None:
    """Configure a site whose uploads and whose static files are in the bucket."""
    settings.configure(
        INSTALLED_APPS=["django.contrib.staticfiles", "storages"],
        STATIC_URL="/static/",
        STATICFILES_DIRS=[static],
        STORAGES={
            "default": backend("S3Storage", location="uploads", file_overwrite=False, querystring_expire=60),
            "staticfiles": backend("S3ManifestStaticStorage", location="static"),
            "gzipped": backend("S3Storage", location="gzipped", gzip=True),
        },
    )
    django.setup()


def publish() -> None:
    """Let everyone read the static files, as a bucket's policy does."""
    rule = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    rule["Resource"] = f"arn:aws:s3:::{os.environ['BUCKET']}/static/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    boto3.client("s3").put_bucket_policy(Bucket=os.environ["BUCKET"], Policy=policy)


def fetch(address: str) -> bytes:
    """Return what a browser would see."""
    with urllib.request.urlopen(address) as answer:
        return bytes(answer.read())


def collect(static: Path) -> int:
    """Collect files, and again: their names have digests then, and nothing is sent a second time."""
    (static / "site.css").write_text("body { background: url('0.svg') }\n")
    for number in range(FILES):
        (static / f"{number}.svg").write_text(f"<svg>{number}</svg>\n" * 10)
    storage, said = storages["staticfiles"], io.StringIO()
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, stdout=said)
    assert f"0 static files copied, {FILES + 1} unmodified" in said.getvalue(), said.getvalue()
    style = fetch(storage.url("site.css")).decode()
    assert storage.stored_name("0.svg") in style, style
    return len(storage.listdir("")[1])


def upload() -> int:
    """Save what visitors send: a name twice, a large file, one in pieces; read by addresses, list, delete."""
    storage = storages["default"]
    names = [storage.save("ä b+c.txt", ContentFile(text)) for text in (b"first", b"second")]
    assert len(set(names)) == len(names), names
    assert [fetch(storage.url(name)) for name in names] == [b"first", b"second"]
    large = storage.save("folder/large", ContentFile(LARGE))
    assert storage.size(large) == len(LARGE)
    with storage.open(large) as file:
        assert file.read() == LARGE
    with storage.open("pieces", "wb") as file:
        for start in range(0, len(LARGE), 3 << 20):
            file.write(LARGE[start : start + (3 << 20)])
    assert fetch(storage.url("pieces")) == LARGE
    folders, files = storage.listdir("")
    assert (folders, sorted(files)) == (["folder"], sorted([*names, "pieces"])), (folders, files)
    assert refused(storage.url(large).replace("large", "other")), "an address that was changed was served"
    for name in (*names, large, "pieces"):
        storage.delete(name)
        assert not storage.exists(name)
    return len(names) + 2


def refused(address: str) -> bool:
    """Return whether an address is refused."""
    try:
        fetch(address)
    except urllib.error.HTTPError as error:
        return error.code == 403
    return False


def compress() -> None:
    """Save a file that the storage compresses, and read it back as it was."""
    storage = storages["gzipped"]
    storage.save("page.html", ContentFile(b"<p>text</p>" * 1000))
    with storage.open("page.html") as file:
        assert file.read() == b"<p>text</p>" * 1000


def main() -> None:
    """Configure the site, collect, upload."""
    with tempfile.TemporaryDirectory() as name:
        configure(Path(name))
        publish()
        static, uploaded = collect(Path(name)), upload()
    compress()
    print(f"{static} static files, {uploaded} uploads")


if __name__ == "__main__":
    main()
