"""s3cmd, a command line with a signer and an XML reader of its own. It reads a range when it resumes a download.

Its ``signurl`` signs by Signature Version 2.
"""

from collections.abc import Mapping
from pathlib import Path

from compat.client import Account, Described, NotOffered, Program
from compat.harness import main


class S3cmd(Program):
    """``s3cmd`` with the settings file that its own questionnaire would write."""

    name = "s3cmd"
    command = ("s3cmd", "--no-progress")

    def __init__(self, account: Account, home: Path) -> None:
        super().__init__(account, home)
        settings = {
            "access_key": account.access_key,
            "secret_key": account.secret_key,
            "bucket_location": account.region,
            "host_base": account.host,
            "host_bucket": account.host,
            "use_https": account.is_tls,
        }
        lines = (f"{name} = {value}\n" for name, value in settings.items())
        (home / ".s3cfg").write_text("[default]\n" + "".join(lines))

    def version(self) -> str:
        return self.lines("--version")[0].split()[-1]

    def create_bucket(self, bucket: str) -> None:
        self.run("mb", f"s3://{bucket}")

    def buckets(self) -> list[str]:
        return [line.split("s3://")[1] for line in self.lines("ls")]

    def delete_bucket(self, bucket: str) -> None:
        self.run("rb", f"s3://{bucket}")

    def put(self, bucket: str, key: str, path: Path) -> None:
        self.run("put", path, f"s3://{bucket}/{key}")

    def put_tree(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("put", "--recursive", f"{folder}/", f"s3://{bucket}/{prefix}")

    def get(self, bucket: str, key: str, path: Path) -> None:
        self.run("get", f"s3://{bucket}/{key}", path)

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        target = self.home / "partial"
        target.write_bytes(b"\0" * start)
        self.run("get", "--continue", f"s3://{bucket}/{key}", target)
        return target.read_bytes()[start : start + length]

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        self.run("settagging", f"s3://{bucket}/{key}", "&".join(f"{name}={value}" for name, value in tags.items()))

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        _, *lines = self.lines("gettagging", f"s3://{bucket}/{key}")
        pairs = (line.strip("\t").partition(":\t") for line in lines)
        return {name: value for name, _, value in pairs}

    def _listed(self, *arguments: str) -> list[str]:
        return [line.split("s3://", 1)[1].partition("/")[2] for line in self.lines("ls", *arguments)]

    def keys(self, bucket: str, prefix: str) -> list[str]:
        return self._listed("--recursive", f"s3://{bucket}/{prefix}")

    def level(self, bucket: str, prefix: str) -> list[str]:
        return self._listed(f"s3://{bucket}/{prefix}")

    def sync_up(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("sync", "--delete-removed", f"{folder}/", f"s3://{bucket}/{prefix}")

    def sync_down(self, bucket: str, prefix: str, folder: Path) -> None:
        self.run("sync", "--delete-removed", f"s3://{bucket}/{prefix}", f"{folder}/")

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.run("cp", f"s3://{bucket}/{key}", f"s3://{bucket}/{to_key}")

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        told = [f"--add-header=x-amz-meta-{name}:{value}" for name, value in described.metadata.items()]
        self.run("put", f"--mime-type={described.content_type}", *told, path, f"s3://{bucket}/{key}")

    def describe(self, bucket: str, key: str) -> Described:
        told = dict(line.strip().partition(":")[::2] for line in self.lines("info", f"s3://{bucket}/{key}"))
        metadata = {
            name.removeprefix("x-amz-meta-"): value.strip()
            for name, value in told.items()
            if name.startswith("x-amz-meta-")
        }
        return Described(told["MIME type"].strip(), metadata)

    def presign(self, bucket: str, key: str, method: str) -> str:
        if method != "GET":
            raise NotOffered("s3cmd signurl makes URLs for downloads only")
        return self.lines("signurl", f"s3://{bucket}/{key}", "+3600")[0]

    def delete(self, bucket: str, key: str) -> None:
        self.run("del", f"s3://{bucket}/{key}")

    def delete_all(self, bucket: str, prefix: str) -> None:
        self.run("del", "--recursive", "--force", f"s3://{bucket}/{prefix}")


if __name__ == "__main__":
    main(S3cmd)
