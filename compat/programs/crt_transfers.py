"""AWS's common runtime, as boto3 and AWS's command line use it: files and streams up and down, in parts at once."""

import io
import os
import random
import tempfile
from pathlib import Path

import boto3
import botocore.session
from botocore.config import Config
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

BUCKET = os.environ["BUCKET"]
SIZES = (0, 1, 70_000, 5 << 20, 40 << 20)


def manager() -> CRTTransferManager:
    """Return a manager of transfers by the common runtime."""
    session = botocore.session.get_session()
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    client = create_s3_crt_client(
        os.environ["AWS_REGION"], crt_credentials_provider=credentials, use_ssl=False, part_size=5 << 20
    )
    settings = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "config": Config(s3={"addressing_style": "path"})}
    return CRTTransferManager(client, BotocoreCRTRequestSerializer(session, client_kwargs=settings))


def main() -> None:
    """Store each size from a file and from a stream, fetch both, and look at what S3 keeps of the sums."""
    contents = {size: random.Random(size).randbytes(size) for size in SIZES}
    with tempfile.TemporaryDirectory() as name:
        folder, transfers = Path(name), manager()
        for size, data in contents.items():
            (folder / f"{size}").write_bytes(data)
            transfers.upload(str(folder / f"{size}"), BUCKET, f"file/{size}")
            transfers.upload(io.BytesIO(data), BUCKET, f"stream/{size}").result()
        for size, data in contents.items():
            transfers.download(BUCKET, f"stream/{size}", str(folder / f"{size} fetched")).result()
            target = io.BytesIO()
            transfers.download(BUCKET, f"file/{size}", target).result()
            assert target.getvalue() == data, f"other bytes than the {size} of the file came back"
        transfers.delete(BUCKET, "file/1").result()
        transfers.shutdown()  # a file gets its name a moment after the result of its transfer
        for size, data in contents.items():
            fetched = (folder / f"{size} fetched").read_bytes()
            assert fetched == data, f"{len(fetched)} other bytes than the {size} of the stream came back"
    head = boto3.client("s3").head_object(Bucket=BUCKET, Key=f"file/{SIZES[-1]}", ChecksumMode="ENABLED")
    assert head["ChecksumType"] == "COMPOSITE", head
    assert head["ChecksumCRC32"].endswith("-8"), head
    print(f"{2 * len(SIZES)} objects")


if __name__ == "__main__":
    main()
