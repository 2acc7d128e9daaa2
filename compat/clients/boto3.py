"""boto3, AWS's SDK for Python, with its transfer manager and stock settings: it presigns by Signature Version 2."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import boto3

from compat.client import Account, Client, Described
from compat.documents import Document
from compat.harness import main


class Boto3(Client):
    """boto3."""

    name = "boto3"

    def __init__(self, account: Account, home: Path) -> None:
        super().__init__(account, home)
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.account.endpoint,
            aws_access_key_id=self.account.access_key,
            aws_secret_access_key=self.account.secret_key,
            region_name=self.account.region,
        )

    def version(self) -> str:
        return boto3.__version__

    def create_bucket(self, bucket: str) -> None:
        self.s3.create_bucket(Bucket=bucket)

    def buckets(self) -> list[str]:
        return [found["Name"] for found in self.s3.list_buckets()["Buckets"]]

    def delete_bucket(self, bucket: str) -> None:
        self.s3.delete_bucket(Bucket=bucket)

    def put(self, bucket: str, key: str, path: Path) -> None:
        self.s3.upload_file(str(path), bucket, key)

    def get(self, bucket: str, key: str, path: Path) -> None:
        self.s3.download_file(bucket, key, str(path))

    def put_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        self.s3.upload_file(str(path), bucket, key, ExtraArgs=self._under(secret))

    def get_under(self, bucket: str, key: str, path: Path, secret: Path) -> None:
        self.s3.download_file(bucket, key, str(path), ExtraArgs=self._under(secret))

    @staticmethod
    def _under(secret: Path) -> dict[str, Any]:
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": secret.read_bytes()}

    def get_range(self, bucket: str, key: str, start: int, length: int) -> bytes:
        answer = self.s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{start + length - 1}")
        return answer["Body"].read()

    def keys(self, bucket: str, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def level(self, bucket: str, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [
            name
            for page in pages
            for name in (
                *(found["Prefix"] for found in page.get("CommonPrefixes", ())),
                *(found["Key"] for found in page.get("Contents", ())),
            )
        ]

    def copy(self, bucket: str, key: str, to_key: str) -> None:
        self.s3.copy({"Bucket": bucket, "Key": key}, bucket, to_key)

    def put_described(self, bucket: str, key: str, path: Path, described: Described) -> None:
        extra = {"ContentType": described.content_type, "Metadata": dict(described.metadata)}
        self.s3.upload_file(str(path), bucket, key, ExtraArgs=extra)

    def describe(self, bucket: str, key: str) -> Described:
        answer = self.s3.head_object(Bucket=bucket, Key=key)
        return Described(answer["ContentType"], answer["Metadata"])

    def append(self, bucket: str, key: str, path: Path, offset: int) -> None:
        with path.open("rb") as body:
            self.s3.put_object(Bucket=bucket, Key=key, Body=body, WriteOffsetBytes=offset)

    def rename(self, bucket: str, key: str, to_key: str) -> None:
        self.s3.rename_object(Bucket=bucket, Key=to_key, RenameSource=quote(key), DestinationIfNoneMatch="*")

    def put_archived(self, bucket: str, key: str, path: Path) -> None:
        self.s3.upload_file(str(path), bucket, key, ExtraArgs={"StorageClass": "GLACIER"})

    def select(self, bucket: str, key: str, expression: str) -> bytes:
        answer = self.s3.select_object_content(
            Bucket=bucket,
            Key=key,
            Expression=expression,
            ExpressionType="SQL",
            InputSerialization={"CSV": {"FileHeaderInfo": "USE"}},
            OutputSerialization={"CSV": {}},
        )
        return b"".join(event["Records"]["Payload"] for event in answer["Payload"] if "Records" in event)

    def restore(self, bucket: str, key: str, days: int) -> str:
        self.s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": days})
        return self.s3.head_object(Bucket=bucket, Key=key)["Restore"]

    def annotate(self, bucket: str, key: str, name: str, path: Path) -> None:
        with path.open("rb") as text:
            self.s3.put_object_annotation(Bucket=bucket, Key=key, AnnotationName=name, AnnotationPayload=text)

    def annotations(self, bucket: str, key: str) -> dict[str, bytes]:
        found = self.s3.list_object_annotations(Bucket=bucket, Key=key).get("Annotations", ())
        names = [entry["AnnotationName"] for entry in found]
        answers = (self.s3.get_object_annotation(Bucket=bucket, Key=key, AnnotationName=name) for name in names)
        return {name: answer["AnnotationPayload"].read() for name, answer in zip(names, answers, strict=True)}

    def tag(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        self.s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": tag_set})

    def tags(self, bucket: str, key: str) -> Mapping[str, str]:
        found = self.s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def checksums(self) -> Sequence[str]:
        return ("CRC32", "SHA1", "SHA256")

    def put_checked(self, bucket: str, key: str, path: Path, algorithm: str) -> None:
        self.s3.upload_file(str(path), bucket, key, ExtraArgs={"ChecksumAlgorithm": algorithm})

    def checksum(self, bucket: str, key: str, algorithm: str) -> str:
        return str(self.s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")[f"Checksum{algorithm}"])

    def versions(self, bucket: str, key: str) -> list[str]:
        found = self.s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", ())
        return [version["VersionId"] for version in found]

    def get_version(self, bucket: str, key: str, version_id: str, path: Path) -> None:
        self.s3.download_file(bucket, key, str(path), ExtraArgs={"VersionId": version_id})

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        self.s3.delete_object(Bucket=bucket, Key=key, VersionId=version_id)

    def enable_versioning(self, bucket: str) -> None:
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def put_document(self, bucket: str, document: Document, value: Any) -> None:
        given = dict((*document.arguments, *document.options, *document.kept))
        getattr(self.s3, f"put_{document.name}")(Bucket=bucket, **given, **{document.member: value})

    def document(self, bucket: str, document: Document) -> Any:
        answer = getattr(self.s3, f"get_{document.name}")(Bucket=bucket, **dict(document.arguments))
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def listed_documents(self, bucket: str, document: Document) -> Any:
        return getattr(self.s3, f"list_{document.name}s")(Bucket=bucket)[f"{document.member}List"]

    def remove_document(self, bucket: str, document: Document) -> None:
        getattr(self.s3, document.removal)(Bucket=bucket, **dict(document.arguments))

    def presign(self, bucket: str, key: str, method: str) -> str:
        return self.s3.generate_presigned_url(f"{method.lower()}_object", Params={"Bucket": bucket, "Key": key})

    def put_notified(self, bucket: str, key: str, path: Path) -> list[str]:
        sqs = boto3.client(
            "sqs",
            endpoint_url=self.account.endpoint,
            aws_access_key_id=self.account.access_key,
            aws_secret_access_key=self.account.secret_key,
            region_name=self.account.region,
        )
        queue = sqs.create_queue(QueueName="compat")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        asked = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=asked)
        self.put(bucket, key, path)
        found: list[str] = []
        while messages := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"):
            for message in messages:
                records = json.loads(message["Body"]).get("Records", [])
                found += [unquote_plus(record["s3"]["object"]["key"]) for record in records]
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        self.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        sqs.delete_queue(QueueUrl=queue)
        return found

    def delete(self, bucket: str, key: str) -> None:
        self.s3.delete_object(Bucket=bucket, Key=key)

    def delete_all(self, bucket: str, prefix: str) -> None:
        keys = self.keys(bucket, prefix)
        for start in range(0, len(keys), 1000):
            batch = [{"Key": key} for key in keys[start : start + 1000]]
            answer = self.s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            if answer.get("Errors"):
                raise RuntimeError(f"{answer['Errors'][:3]}")


if __name__ == "__main__":
    main(Boto3)
