"""obstore: Rust's object_store for Python. It knows no buckets, so a URL that it signs makes and removes the bucket."""

import urllib.request
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import obstore
from obstore.store import S3Store

from compat.client import Client, Described, NotOffered
from compat.harness import main

HOUR = timedelta(hours=1)


class Obstore(Client):
    """obstore; the one setting beside endpoint, keys and region is the consent to plain HTTP."""

    name = "obstore"

    def _store(self, bucket: str) -> S3Store:
        return S3Store(
            bucket,
            endpoint=self.account.endpoint,
            access_key_id=self.account.access_key,
            secret_access_key=self.account.secret_key,
            region=self.account.region,
            client_options={"allow_http": not self.account.is_tls},
        )

    def version(self) -> str:
        return version("obstore")

    def _on_bucket(self, method: str, bucket: str) -> None:
        request = urllib.request.Request(self.presign(bucket, "", method), method=method)
        urllib.request.urlopen(request).close()

    def create_bucket(self, bucket: str) -> None:
        self._on_bucket("PUT", bucket)
        raise NotOffered("obstore knows no buckets; a URL that it signed made this one")

    def delete_bucket(self, bucket: str) -> None:
        self._on_bucket("DELETE", bucket)
        raise NotOffered("obstore knows no buckets; a URL that it signed removed this one")

    def put(self, bucket: str, key: str, path: Path) -> None:
        obstore.put(self._store(bucket), key, path)

    def get(self, bucket: str, key: str, path: Path) -> None:
        with path.open("wb") as file:
            for chunk in obstore.get(self._store(bucket), key):
                file.write(chunk)

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        return obstore.get_range(self._store(bucket), key, start=start, length=length).to_bytes()

    def keys(self, bucket: str, prefix: str) -> list[str]:
        pages = obstore.list(self._store(bucket), prefix or None)
        return [found["path"] for page in pages for found in page]

    def level(self, bucket: str, prefix: str) -> list[str]:
        found = obstore.list_with_delimiter(self._store(bucket), prefix)
        return [f"{name}/" for name in found["common_prefixes"]] + [item["path"] for item in found["objects"]]

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        obstore.copy(self._store(bucket), key, to_key)

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        attributes = {"Content-Type": described.content_type, **described.metadata}
        obstore.put(self._store(bucket), key, path, attributes=attributes)

    def describe(self, bucket: str, key: str) -> Described:
        attributes = dict(obstore.get(self._store(bucket), key).attributes)
        return Described(attributes.pop("Content-Type"), attributes)

    def presign(self, bucket: str, key: str, method: str) -> str:
        return obstore.sign(self._store(bucket), method, key, HOUR)

    def delete(self, bucket: str, key: str) -> None:
        obstore.delete(self._store(bucket), key)

    def delete_all(self, bucket: str, prefix: str) -> None:
        obstore.delete(self._store(bucket), self.keys(bucket, prefix))


if __name__ == "__main__":
    main(Obstore)
