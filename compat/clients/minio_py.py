"""The MinIO client library for Python, with a signer and an XML reader of its own."""

from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from minio import Minio
from minio.commonconfig import ENABLED, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.select import CSVInputSerialization, CSVOutputSerialization, SelectRequest
from minio.versioningconfig import VersioningConfig

from compat.client import Account, Client, Described
from compat.harness import main

META = "x-amz-meta-"


class MinioPy(Client):
    """minio-py."""

    name = "minio_py"

    def __init__(self, account: Account, home: Path) -> None:
        super().__init__(account, home)
        self.s3 = Minio(
            account.host, account.access_key, account.secret_key, secure=account.is_tls, region=account.region
        )

    def version(self) -> str:
        return version("minio")

    def create_bucket(self, bucket: str) -> None:
        self.s3.make_bucket(bucket)

    def buckets(self) -> list[str]:
        return [found.name for found in self.s3.list_buckets()]

    def delete_bucket(self, bucket: str) -> None:
        self.s3.remove_bucket(bucket)

    def put(self, bucket: str, key: str, path: Path) -> None:
        self.s3.fput_object(bucket, key, str(path))

    def get(self, bucket: str, key: str, path: Path) -> None:
        self.s3.fget_object(bucket, key, str(path))

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        with self.s3.get_object(bucket, key, offset=start, length=length) as answer:
            return answer.read()

    def select(self, bucket: str, key: str, expression: str) -> bytes:
        given, out = CSVInputSerialization(file_header_info="USE"), CSVOutputSerialization()
        with self.s3.select_object_content(bucket, key, SelectRequest(expression, given, out)) as answer:
            return b"".join(answer.stream())

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        wanted = Tags.new_object_tags()
        wanted.update(tags)
        self.s3.set_object_tags(bucket, key, wanted)

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        return dict(self.s3.get_object_tags(bucket, key) or {})

    def enable_versioning(self, bucket: str) -> None:
        self.s3.set_bucket_versioning(bucket, VersioningConfig(ENABLED))

    def versions(self, bucket: str, key: str) -> list[str]:
        found = self.s3.list_objects(bucket, key, recursive=True, include_version=True)
        return [version.version_id for version in found]

    def get_version(self, bucket: str, key: str, version_id: str, path: Path) -> None:
        self.s3.fget_object(bucket, key, str(path), version_id=version_id)

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        self.s3.remove_object(bucket, key, version_id=version_id)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        return [found.object_name for found in self.s3.list_objects(bucket, prefix, recursive=True)]

    def level(self, bucket: str, prefix: str) -> list[str]:
        return [found.object_name for found in self.s3.list_objects(bucket, prefix)]

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.s3.copy_object(bucket, to_key, CopySource(bucket, key))

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        self.s3.fput_object(bucket, key, str(path), described.content_type, metadata=dict(described.metadata))

    def describe(self, bucket: str, key: str) -> Described:
        found = self.s3.stat_object(bucket, key)
        kept = {name.lower(): value for name, value in found.metadata.items()}
        metadata = {name.removeprefix(META): value for name, value in kept.items() if name.startswith(META)}
        return Described(found.content_type, metadata)

    def append(self, bucket: str, key: str, path: Path, offset: int) -> None:
        with path.open("rb") as data:
            self.s3.put_object(bucket, key, data, path.stat().st_size, write_offset=offset)

    def presign(self, bucket: str, key: str, method: str) -> str:
        return self.s3.get_presigned_url(method, bucket, key, expires=timedelta(hours=1))

    def delete(self, bucket: str, key: str) -> None:
        self.s3.remove_object(bucket, key)

    def delete_all(self, bucket: str, prefix: str) -> None:
        keys = (DeleteObject(key) for key in self.keys(bucket, prefix))
        errors = list(self.s3.remove_objects(bucket, keys))
        if errors:
            raise RuntimeError(f"{errors[:3]}")


if __name__ == "__main__":
    main(MinioPy)
