"""s3fs, the file system behind pandas, Dask and Zarr: files written, appended, merged, moved; an array in shards."""

import os
import random

import numpy as np
import s3fs
import zarr

BUCKET = os.environ["BUCKET"]


def files(system: s3fs.S3FileSystem) -> None:
    """Write, read parts, append, copy, move, describe."""
    contents = {f"{BUCKET}/many/{number}.bin": random.Random(number).randbytes(number * 100) for number in range(50)}
    system.pipe(contents)
    assert sorted(system.find(f"{BUCKET}/many")) == sorted(contents)
    assert system.cat(list(contents)) == contents
    assert len(system.glob(f"{BUCKET}/many/1*.bin")) == 11
    large = random.Random("large").randbytes(24 << 20)
    with system.open(f"{BUCKET}/large", "wb", block_size=5 << 20) as target:
        target.write(large)
    with system.open(f"{BUCKET}/large", "ab") as target:
        target.write(b"tail")
    with system.open(f"{BUCKET}/large", "rb") as source:
        source.seek(20 << 20)
        assert source.read(1000) == large[20 << 20 :][:1000]
    assert system.cat_file(f"{BUCKET}/large", start=-6) == large[-2:] + b"tail"
    system.mv(f"{BUCKET}/large", f"{BUCKET}/moved")
    system.merge(f"{BUCKET}/merged", [f"{BUCKET}/moved"] * 2)
    assert system.info(f"{BUCKET}/merged")["size"] == 2 * (len(large) + 4)
    system.setxattr(f"{BUCKET}/moved", colour="blue")
    assert system.getxattr(f"{BUCKET}/moved", "colour") == "blue"
    system.put_tags(f"{BUCKET}/moved", {"kind": "large"})
    assert system.get_tags(f"{BUCKET}/moved") == {"kind": "large"}
    try:
        system.pipe_file(f"{BUCKET}/moved", b"", mode="create")
    except FileExistsError:
        assert system.info(f"{BUCKET}/moved")["size"] == len(large) + 4
    else:
        raise AssertionError("a file is made twice")


def arrays() -> None:
    """Write an array in chunks and one in shards, change them, read them."""
    group = zarr.open_group(f"s3://{BUCKET}/group", mode="w", storage_options={"anon": False})
    noise = np.random.default_rng(1).random((500, 500))
    group.create_array("chunks", shape=noise.shape, chunks=(100, 100), dtype="f8")[:] = noise
    sharded = group.create_array("shards", shape=(500, 500), chunks=(50, 50), shards=(250, 250), dtype="i4")
    sharded[:] = 7
    sharded[3, 4] = 9
    group = zarr.open_group(f"s3://{BUCKET}/group", mode="r", storage_options={"anon": False})
    assert (group["chunks"][:] == noise).all()
    assert int(group["shards"][:].sum()) == 7 * 500 * 500 + 2


def main() -> None:
    """Use files and arrays."""
    system = s3fs.S3FileSystem()
    files(system)
    arrays()
    count = len(system.find(BUCKET))
    system.rm(BUCKET, recursive=True)
    assert not system.exists(BUCKET)
    print(f"{count} files")


if __name__ == "__main__":
    main()
