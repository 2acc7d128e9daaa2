"""The AWS command line, version 1: ``aws s3`` for files and folders, ``aws s3api`` where that has no command.

With stock settings it signs URLs by Signature Version 2, as boto3 does.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

from compat.client import Described, NotOffered, Program
from compat.documents import Document
from compat.harness import main


def _option(name: str) -> str:
    """Return the option of a parameter: ``cors-configuration`` for ``CORSConfiguration``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


class AwsCli(Program):
    """``aws``; it reads endpoint, keys and region from the environment."""

    name = "awscli"
    command = ("aws",)

    def version(self) -> str:
        return self.lines("--version")[0].split()[0].removeprefix("aws-cli/")

    def create_bucket(self, bucket: str) -> None:
        self.run("s3", "mb", f"s3://{bucket}")

    def buckets(self) -> list[str]:
        return [line.split()[2] for line in self.lines("s3", "ls")]

    def delete_bucket(self, bucket: str) -> None:
        self.run("s3", "rb", f"s3://{bucket}")

    def put(self, bucket: str, key: str, path: Path) -> None:
        self.run("s3", "cp", path, f"s3://{bucket}/{key}")

    def put_tree(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("s3", "cp", "--recursive", folder, f"s3://{bucket}/{prefix}")

    def get(self, bucket: str, key: str, path: Path) -> None:
        self.run("s3", "cp", f"s3://{bucket}/{key}", path)

    def put_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        self.run("s3", "cp", path, f"s3://{bucket}/{key}", "--sse-c", "AES256", "--sse-c-key", f"fileb://{secret}")

    def get_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        self.run("s3", "cp", f"s3://{bucket}/{key}", path, "--sse-c", "AES256", "--sse-c-key", f"fileb://{secret}")

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        target = self.home / "range"
        span = f"bytes={start}-{start + length - 1}"
        self.run("s3api", "get-object", "--bucket", bucket, "--key", key, "--range", span, target)
        return target.read_bytes()

    def keys(self, bucket: str, prefix: str) -> list[str]:
        query = ("--query", "Contents[].Key", "--output", "json")
        return json.loads(self.run("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix, *query)) or []

    def level(self, bucket: str, prefix: str) -> list[str]:
        rows = [line.split(maxsplit=3) for line in self.lines("s3", "ls", f"s3://{bucket}/{prefix}")]
        return [prefix + row[-1] for row in rows]

    def sync_up(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("s3", "sync", "--delete", folder, f"s3://{bucket}/{prefix}")

    def sync_down(self, bucket: str, prefix: str, folder: Path) -> None:
        self.run("s3", "sync", "--delete", f"s3://{bucket}/{prefix}", folder)

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.run("s3", "cp", f"s3://{bucket}/{key}", f"s3://{bucket}/{to_key}")

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        told = ("--content-type", described.content_type, "--metadata", json.dumps(described.metadata))
        self.run("s3", "cp", *told, path, f"s3://{bucket}/{key}")

    def describe(self, bucket: str, key: str) -> Described:
        answer = json.loads(self.run("s3api", "head-object", "--bucket", bucket, "--key", key))
        return Described(answer["ContentType"], answer["Metadata"])

    def append(self, bucket: str, key: str, path: Path, offset: int) -> None:
        self._of("put-object", bucket, key, "--body", path, "--write-offset-bytes", offset)

    def rename(self, bucket: str, key: str, to_key: str) -> None:
        self._of("rename-object", bucket, to_key, "--rename-source", quote(key), "--destination-if-none-match", "*")

    def put_archived(self, bucket: str, key: str, path: Path) -> None:
        self.run("s3", "cp", path, f"s3://{bucket}/{key}", "--storage-class", "GLACIER")

    def select(self, bucket: str, key: str, expression: str) -> bytes:
        target = self.home / "selected"
        given = ("--expression", expression, "--expression-type", "SQL")
        formats = ("--input-serialization", "CSV={FileHeaderInfo=USE}", "--output-serialization", "CSV={}")
        self._of("select-object-content", bucket, key, *given, *formats, target)
        return target.read_bytes()

    def restore(self, bucket: str, key: str, days: int) -> str:
        self._of("restore-object", bucket, key, "--restore-request", f"Days={days}")
        return str(json.loads(self._of("head-object", bucket, key))["Restore"])

    def annotate(self, bucket: str, key: str, name: str, path: Path) -> None:
        self._of("put-object-annotation", bucket, key, "--annotation-name", name, "--annotation-payload", path)

    def annotations(self, bucket: str, key: str) -> dict[str, bytes]:
        listed = json.loads(self._of("list-object-annotations", bucket, key) or b"{}")
        found, target = {}, self.home / "annotation"
        for entry in listed.get("Annotations", ()):
            name = entry["AnnotationName"]
            self._of("get-object-annotation", bucket, key, "--annotation-name", name, target)
            found[name] = target.read_bytes()
        return found

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        self._of("put-object-tagging", bucket, key, "--tagging", json.dumps({"TagSet": tag_set}))

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        found = json.loads(self._of("get-object-tagging", bucket, key))["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def checksums(self) -> Sequence[str]:
        return ("CRC32", "SHA1", "SHA256")

    def put_checked(self, bucket: str, key: str, path: Path, algorithm: str) -> None:
        self.run("s3", "cp", path, f"s3://{bucket}/{key}", "--checksum-algorithm", algorithm)

    def checksum(self, bucket: str, key: str, algorithm: str) -> str:
        answer = json.loads(self._of("head-object", bucket, key, "--checksum-mode", "ENABLED"))
        return str(answer[f"Checksum{algorithm}"])

    def versions(self, bucket: str, key: str) -> list[str]:
        listed = self.run("s3api", "list-object-versions", "--bucket", bucket, "--prefix", key, "--output", "json")
        return [version["VersionId"] for version in json.loads(listed or b"{}").get("Versions", ())]

    def get_version(self, bucket: str, key: str, version_id: str, path: Path) -> None:
        self._of("get-object", bucket, key, "--version-id", version_id, path)

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        self._of("delete-object", bucket, key, "--version-id", version_id)

    def put_notified(self, bucket: str, key: str, path: Path) -> list[str]:
        queue = self._sqs("create-queue", "--queue-name", "compat-cli")["QueueUrl"]
        asked = ("--queue-url", queue)
        told = self._sqs("get-queue-attributes", *asked, "--attribute-names", "QueueArn")
        wanted = {"QueueArn": told["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        self._notify(bucket, {"QueueConfigurations": [wanted]})
        self.put(bucket, key, path)
        found: list[str] = []
        while messages := self._sqs("receive-message", *asked, "--wait-time-seconds", 1).get("Messages"):
            for message in messages:
                records = json.loads(message["Body"]).get("Records", [])
                found += [unquote_plus(record["s3"]["object"]["key"]) for record in records]
                self._sqs("delete-message", *asked, "--receipt-handle", message["ReceiptHandle"])
        self._notify(bucket, {})
        self._sqs("delete-queue", *asked)
        return found

    def _notify(self, bucket: str, wanted: dict[str, Any]) -> None:
        self._settle(bucket, "put_bucket_notification_configuration", [("NotificationConfiguration", wanted)])

    def _sqs(self, command: str, *arguments: object) -> Any:
        """Run a command of ``aws sqs``; return its answer. It passes over the endpoint in the environment."""
        where = ("--endpoint-url", self.account.endpoint, "--output", "json")
        return json.loads(self.run("sqs", command, *where, *arguments) or b"{}")

    def _of(self, command: str, bucket: str, key: str, *arguments: object) -> bytes:
        """Run a command of ``aws s3api`` about an object; return what it prints as JSON."""
        where = ("--bucket", bucket, "--key", key, "--output", "json")
        return self.run("s3api", command, *where, *arguments)

    def enable_versioning(self, bucket: str) -> None:
        given = ("--versioning-configuration", "Status=Enabled")
        self.run("s3api", "put-bucket-versioning", "--bucket", bucket, *given)

    def put_document(self, bucket: str, document: Document, value: Any) -> None:
        given = (*document.arguments, *document.options, *document.kept, (document.member, value))
        self._settle(bucket, f"put_{document.name}", given)

    def document(self, bucket: str, document: Document) -> Any:
        return json.loads(self._settle(bucket, f"get_{document.name}", document.arguments) or b"{}")

    def listed_documents(self, bucket: str, document: Document) -> Any:
        return json.loads(self._settle(bucket, f"list_{document.name}s", ()))[f"{document.member}List"]

    def remove_document(self, bucket: str, document: Document) -> None:
        self._settle(bucket, document.removal, document.arguments)

    def _settle(self, bucket: str, call: str, given: Iterable[tuple[str, Any]]) -> bytes:
        """Run a command of a call, with boto3's parameters as options."""
        options: list[str] = []
        for name, value in given:
            text = value if isinstance(value, str) else json.dumps(value)
            options += [f"--{_option(name)}"] if value is True else [f"--{_option(name)}", text]
        return self.run("s3api", call.replace("_", "-"), "--bucket", bucket, *options)

    def presign(self, bucket: str, key: str, method: str) -> str:
        if method != "GET":
            raise NotOffered("aws s3 presign makes URLs for downloads only")
        return self.lines("s3", "presign", f"s3://{bucket}/{key}")[0]

    def delete(self, bucket: str, key: str) -> None:
        self.run("s3", "rm", f"s3://{bucket}/{key}")

    def delete_all(self, bucket: str, prefix: str) -> None:
        self.run("s3", "rm", "--recursive", f"s3://{bucket}/{prefix}")


if __name__ == "__main__":
    main(AwsCli)
