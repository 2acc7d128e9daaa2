"""s5cmd, a fast command line in Go on AWS's SDK for Go, version 1. It cannot read a part of an object, and
takes the quotes off the CSV that a query returns.
"""

import json
from pathlib import Path

from compat.client import Described, NotOffered, Program
from compat.harness import main


class S5cmd(Program):
    """``s5cmd``; it reads keys and region as AWS's tools do, the endpoint from a variable of its own."""

    name = "s5cmd"
    command = ("s5cmd",)

    def environment(self) -> dict[str, str]:
        return {"S3_ENDPOINT_URL": self.account.endpoint}

    def version(self) -> str:
        return self.lines("version")[0].partition("-")[0].removeprefix("v")

    def create_bucket(self, bucket: str) -> None:
        self.run("mb", f"s3://{bucket}")

    def buckets(self) -> list[str]:
        return [line.split()[-1].removeprefix("s3://") for line in self.lines("ls")]

    def delete_bucket(self, bucket: str) -> None:
        self.run("rb", f"s3://{bucket}")

    def put(self, bucket: str, key: str, path: Path) -> None:
        self.run("cp", path, f"s3://{bucket}/{key}")

    def put_tree(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("cp", f"{folder}/", f"s3://{bucket}/{prefix}")

    def get(self, bucket: str, key: str, path: Path) -> None:
        self.run("cp", f"s3://{bucket}/{key}", path)

    def _listed(self, bucket: str, pattern: str) -> list[str]:
        try:
            lines = self.lines("--json", "ls", f"s3://{bucket}/{pattern}")
        except RuntimeError as error:
            if "no object found" in str(error):  # how s5cmd says that the list is empty
                return []
            raise
        return [json.loads(line)["key"].removeprefix(f"s3://{bucket}/") for line in lines]

    def keys(self, bucket: str, prefix: str) -> list[str]:
        return self._listed(bucket, f"{prefix}*")

    def level(self, bucket: str, prefix: str) -> list[str]:
        return self._listed(bucket, prefix)

    def sync_up(self, folder: Path, bucket: str, prefix: str) -> None:
        self.run("sync", "--delete", f"{folder}/", f"s3://{bucket}/{prefix}")

    def sync_down(self, bucket: str, prefix: str, folder: Path) -> None:
        self.run("sync", "--delete", f"s3://{bucket}/{prefix}*", f"{folder}/")

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.run("cp", f"s3://{bucket}/{key}", f"s3://{bucket}/{to_key}")

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        told = [part for name, value in described.metadata.items() for part in ("--metadata", f"{name}={value}")]
        self.run("cp", "--content-type", described.content_type, *told, path, f"s3://{bucket}/{key}")

    def describe(self, bucket: str, key: str) -> Described:
        answer = json.loads(self.run("head", f"s3://{bucket}/{key}"))
        return Described(answer["content_type"], answer["metadata"])

    def enable_versioning(self, bucket: str) -> None:
        self.run("bucket-version", "--set", "Enabled", f"s3://{bucket}")

    def versions(self, bucket: str, key: str) -> list[str]:
        try:
            lines = self.lines("ls", "--all-versions", f"s3://{bucket}/{key}")
        except RuntimeError as error:
            if "no object found" in str(error):
                return []
            raise
        return [line.split()[-1] for line in lines]

    def get_version(self, bucket: str, key: str, version_id: str, path: Path) -> None:
        self.run("cp", "--version-id", version_id, f"s3://{bucket}/{key}", path)

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        self.run("rm", "--version-id", version_id, f"s3://{bucket}/{key}")

    def presign(self, bucket: str, key: str, method: str) -> str:
        if method != "GET":
            raise NotOffered("s5cmd presign makes URLs for downloads only")
        return self.lines("presign", f"s3://{bucket}/{key}")[0]

    def delete(self, bucket: str, key: str) -> None:
        self.run("rm", f"s3://{bucket}/{key}")

    def delete_all(self, bucket: str, prefix: str) -> None:
        self.run("rm", f"s3://{bucket}/{prefix}*")


if __name__ == "__main__":
    main(S5cmd)
