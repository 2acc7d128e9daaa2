"""rclone, a synchroniser in Go on AWS's SDK for Go, version 2.

Its stock settings upload a file below 200 MiB in one request, but a stream of unknown length in parts: ``rclone rcat``.
"""

import base64
import json
from pathlib import Path

from compat.client import Described, NotOffered, Program
from compat.harness import main


class Rclone(Program):
    """``rclone`` with a remote named ``compat``, of the kind that stands for any S3 server."""

    name = "rclone"
    command = ("rclone",)

    def environment(self) -> dict[str, str]:
        settings = {
            "type": "s3",
            "provider": "Other",
            "endpoint": self.account.endpoint,
            "access_key_id": self.account.access_key,
            "secret_access_key": self.account.secret_key,
            "region": self.account.region,
        }
        return {f"RCLONE_CONFIG_COMPAT_{name.upper()}": value for name, value in settings.items()}

    def version(self) -> str:
        return self.lines("version")[0].split()[1].removeprefix("v")

    def create_bucket(self, bucket: str) -> None:
        self.run("mkdir", f"compat:{bucket}")

    def buckets(self) -> list[str]:
        return [line.rstrip("/") for line in self.lines("lsf", "compat:")]

    def delete_bucket(self, bucket: str) -> None:
        self.run("rmdir", f"compat:{bucket}")

    def put(self, bucket: str, key: str, path: Path) -> None:
        self.run("copyto", path, f"compat:{bucket}/{key}")

    def put_large(self, bucket: str, key: str, path: Path) -> None:
        self.run("rcat", f"compat:{bucket}/{key}", stdin=path)

    def put_tree(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("copy", folder, f"compat:{bucket}/{prefix}")

    def get(self, bucket: str, key: str, path: Path) -> None:
        self.run("copyto", f"compat:{bucket}/{key}", path)

    def put_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        self.run("copyto", path, f"compat:{bucket}/{key}", *self._under(secret), "--s3-upload-cutoff", "10Mi")

    def get_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        self.run("copyto", f"compat:{bucket}/{key}", path, *self._under(secret))

    @staticmethod
    def _under(secret: Path) -> tuple[str, ...]:
        encoded = base64.b64encode(secret.read_bytes()).decode()
        return "--s3-sse-customer-algorithm", "AES256", "--s3-sse-customer-key-base64", encoded

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        return self.run("cat", "--offset", start, "--count", length, f"compat:{bucket}/{key}")

    def keys(self, bucket: str, prefix: str) -> list[str]:
        try:
            return [prefix + line for line in self.lines("lsf", "-R", "--files-only", f"compat:{bucket}/{prefix}")]
        except RuntimeError as error:
            if "directory not found" in str(error):  # how rclone says that nothing is under a prefix
                return []
            raise

    def level(self, bucket: str, prefix: str) -> list[str]:
        return [prefix + line for line in self.lines("lsf", f"compat:{bucket}/{prefix}")]

    def sync_up(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("sync", folder, f"compat:{bucket}/{prefix}")

    def sync_down(self, bucket: str, prefix: str, folder: Path) -> None:
        self.run("sync", f"compat:{bucket}/{prefix}", folder)

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.run("copyto", f"compat:{bucket}/{key}", f"compat:{bucket}/{to_key}")

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        wanted = {"content-type": described.content_type, **described.metadata}
        told = [part for name, value in wanted.items() for part in ("--metadata-set", f"{name}={value}")]
        self.run("copyto", "--metadata", *told, path, f"compat:{bucket}/{key}")

    def describe(self, bucket: str, key: str) -> Described:
        answer = json.loads(self.run("lsjson", "--stat", "--metadata", f"compat:{bucket}/{key}"))
        return Described(answer["MimeType"], answer["Metadata"])

    def presign(self, bucket: str, key: str, method: str) -> str:
        if method != "GET":
            raise NotOffered("rclone link makes URLs for downloads only")
        return self.lines("link", "--expire", "1h", f"compat:{bucket}/{key}")[-1]

    def delete(self, bucket: str, key: str) -> None:
        self.run("deletefile", f"compat:{bucket}/{key}")

    def delete_all(self, bucket: str, prefix: str) -> None:
        self.run("delete", f"compat:{bucket}/{prefix}")


if __name__ == "__main__":
    main(Rclone)
