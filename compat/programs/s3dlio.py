"""s3dlio: many objects at once, ranges, and a stream in parts."""

import os
import random

import s3dlio

BUCKET = f"s3://{os.environ['BUCKET']}"
COUNT = 200


def main() -> None:
    """Store, list, fetch and delete."""
    contents = {f"many/{number:03}": random.Random(number).randbytes(number * 997) for number in range(COUNT)}
    for key, data in contents.items():
        s3dlio.put_bytes(f"{BUCKET}/{key}", data)
    listed = s3dlio.list(f"{BUCKET}/many/", recursive=True)
    assert sorted(uri.partition("many/")[2] for uri in listed) == sorted(key[5:] for key in contents), listed[:3]
    fetched = dict(s3dlio.get_many([f"{BUCKET}/{key}" for key in contents]))
    for key, data in contents.items():
        assert bytes(fetched[f"{BUCKET}/{key}"]) == data, key
    key, data = "many/150", contents["many/150"]
    assert bytes(s3dlio.get_range(f"{BUCKET}/{key}", 1000, 5000)) == data[1000:6000]
    large = random.Random("large").randbytes(24 << 20)
    writer = s3dlio.MultipartUploadWriter.from_uri(f"{BUCKET}/large")
    for start in range(0, len(large), 1 << 20):
        writer.write(large[start : start + (1 << 20)])
    writer.close()
    assert bytes(s3dlio.get(f"{BUCKET}/large")) == large
    for key in (*contents, "large"):
        s3dlio.delete(f"{BUCKET}/{key}")
    assert not s3dlio.list(f"{BUCKET}/", recursive=True)
    print(f"{COUNT + 1} objects")


if __name__ == "__main__":
    main()
