"""What encryption costs: the same requests on two buckets of one server, of which one encrypts by default."""

from statistics import median

from compat.bench.load import Client, Request, Stream, zeros
from compat.bench.rows import Row
from compat.bench.servers import Server

MIB = 1 << 20
LARGE, SMALL, SMALLS = 256 * MIB, 4096, 1500
LARGES = 4
"""So often a large object is read for one figure: once takes ten ticks of the clock that counts processor time."""
_RULE = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
_WHO = {"encrypted": "s3ish", "plain": "s3ish, not encrypted"}


def encrypted(rounds, folder):
    """GET and PUT of 256 MiB and of 4 KiB, in pairs of which now one is first and now the other."""
    with Server("s3ish, 1 worker", f"{folder}/encrypted") as server:
        s3, source = server.boto3(), zeros(folder, LARGE)
        for bucket in _WHO:
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_encryption(Bucket="encrypted", ServerSideEncryptionConfiguration={"Rules": [_RULE]})
        works = {
            "PUT 256 MiB": lambda bucket: Stream(server).put(f"/{bucket}/large", source, LARGE),
            "GET 256 MiB": lambda bucket: _large(server, f"/{bucket}/large"),
            "PUT 4 KiB": lambda bucket: _small(server, "PUT", bucket),
            "GET 4 KiB": lambda bucket: _small(server, "GET", bucket),
        }
        rows = {}
        for turn in range(rounds):
            for name, work in works.items():
                for bucket in sorted(_WHO, reverse=turn % 2 == 1):
                    before = server.processor_seconds()
                    seconds = work(bucket)
                    spent = server.processor_seconds() - before
                    count = {"PUT 256 MiB": 256, "GET 256 MiB": 256 * LARGES}.get(name, SMALLS)
                    unit = "MiB" if name.endswith("MiB") else "requests"
                    rate = rows.setdefault(name, Row(f"{name}, encrypted", f"{unit}/s"))
                    cost = rows.setdefault(f"{name}: time", Row(f"{name}, encrypted: of processor time", f"{unit}/s"))
                    rate.add(_WHO[bucket], count / seconds)
                    cost.add(_WHO[bucket], count / max(spent, 0.01))
    return list(rows.values())


def _large(server, path):
    """Read an object several times; return the seconds of all."""
    stream = Stream(server)
    return sum(stream.get(path) for _ in range(LARGES))


def _small(server, method, bucket):
    """Send requests one after another on one connection; return the seconds that they took."""
    client = Client(server)
    if method == "PUT":
        requests = [Request(server, method, f"/{bucket}/small{number}", size=SMALL) for number in range(SMALLS)]
    else:
        requests = [Request(server, method, f"/{bucket}/small1")] * SMALLS
    took = [client.timed(request) for request in requests]
    return median(took) * len(took) / 1000
