"""pyarrow's S3 file system, on AWS's SDK for C++. It shows a bucket as a tree of files and folders."""

from pathlib import Path

import pyarrow
from pyarrow import fs

from compat.client import Account, Client, Described, NotOffered
from compat.harness import main

BUFFER_BYTES = 1 << 20


class Pyarrow(Client):
    """pyarrow; beside endpoint, keys and region it wants the consent to make and remove buckets."""

    name = "pyarrow"

    def __init__(self, account: Account, home: Path) -> None:
        super().__init__(account, home)
        self.local = fs.LocalFileSystem()
        self.s3 = fs.S3FileSystem(
            access_key=account.access_key,
            secret_key=account.secret_key,
            region=account.region,
            endpoint_override=account.host,
            scheme="https" if account.is_tls else "http",
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
        )

    def version(self) -> str:
        return pyarrow.__version__

    def create_bucket(self, bucket: str) -> None:
        self.s3.create_dir(bucket)

    def buckets(self) -> list[str]:
        return [found.path for found in self.s3.get_file_info(fs.FileSelector(""))]

    def delete_bucket(self, bucket: str) -> None:
        self.s3.delete_dir(bucket)

    def put(self, bucket: str, key: str, path: Path) -> None:
        self._write(f"{bucket}/{key}", path, None)

    def _write(self, target: str, path: Path, metadata: dict[str, str] | None) -> None:
        with path.open("rb") as source, self.s3.open_output_stream(target, metadata=metadata) as file:
            while data := source.read(BUFFER_BYTES):
                file.write(data)

    def put_tree(self, folder: Path, bucket: str, prefix: str) -> None:
        fs.copy_files(str(folder), f"{bucket}/{prefix}", self.local, self.s3)

    def get(self, bucket: str, key: str, path: Path) -> None:
        with self.s3.open_input_stream(f"{bucket}/{key}") as source, path.open("wb") as file:
            while data := source.read(BUFFER_BYTES):
                file.write(data)

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        with self.s3.open_input_file(f"{bucket}/{key}") as file:
            return file.read_at(length, start)

    def _listed(self, bucket: str, prefix: str, *, recursive: bool) -> list[fs.FileInfo]:
        selector = fs.FileSelector(f"{bucket}/{prefix}".rstrip("/"), allow_not_found=True, recursive=recursive)
        return self.s3.get_file_info(selector)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        found = self._listed(bucket, prefix, recursive=True)
        return [item.path.removeprefix(f"{bucket}/") for item in found if item.type == fs.FileType.File]

    def level(self, bucket: str, prefix: str) -> list[str]:
        found = self._listed(bucket, prefix, recursive=False)
        ends = {fs.FileType.Directory: "/"}
        return [item.path.removeprefix(f"{bucket}/") + ends.get(item.type, "") for item in found]

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.s3.copy_file(f"{bucket}/{key}", f"{bucket}/{to_key}")

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        if described.metadata:
            raise NotOffered("pyarrow sends S3's own headers and drops all other metadata")
        self._write(f"{bucket}/{key}", path, {"Content-Type": described.content_type})

    def describe(self, bucket: str, key: str) -> Described:
        with self.s3.open_input_stream(f"{bucket}/{key}") as file:
            return Described(file.metadata()["Content-Type"].decode(), {})

    def delete(self, bucket: str, key: str) -> None:
        self.s3.delete_file(f"{bucket}/{key}")

    def delete_all(self, bucket: str, prefix: str) -> None:
        self.s3.delete_dir_contents(f"{bucket}/{prefix}".rstrip("/"))


if __name__ == "__main__":
    main(Pyarrow)
