"""No header is swallowed: each that AWS's model gives an operation makes a difference, or is known to make none.

The requests are sent twice, with and without the header, and what can be seen of both is compared.
"""

import base64
import functools
import hashlib
import re
import time
import uuid
import zlib
from email.utils import formatdate

import pytest

from tests.docs_counts import idle
from tests.test_catalogue import BUILT, MODEL, OPERATIONS, SHAPES

IDLE = idle()
"""Headers that change nothing, by the operation, and why: as their shapes declare."""
ELSEWHERE = {
    "Content-Length": "the framing of HTTP, which no request is without; see tests/http",
    "x-amz-request-payer": "the owner of a bucket need not say who pays; see test_payment.py",
}

LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
VALUES = {
    **dict.fromkeys(("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language"), "東京"),
    **dict.fromkeys(("Content-Type", "Expires"), "東京"),
    "If-Modified-Since": lambda: formatdate(time.time(), usegmt=True),
    "If-None-Match": "*",
    "If-Unmodified-Since": LONG_AGO,
    "Range": "bytes=1-1",
    "x-amz-checksum-mode": "ENABLED",
    "x-amz-copy-source-if-modified-since": lambda: formatdate(time.time(), usegmt=True),
    "x-amz-copy-source-if-none-match": "*",
    "x-amz-copy-source-if-unmodified-since": LONG_AGO,
    "x-amz-if-match-initiated-time": LONG_AGO,
    "x-amz-if-match-last-modified-time": LONG_AGO,
    "x-amz-if-match-size": "99",
    "x-amz-max-parts": "0",
    "x-amz-meta-": "x" * 2048,
    "x-amz-metadata-directive": "REPLACE",
    "x-amz-mp-object-size": "99",
    "x-amz-object-lock-event-hold-duration-days": "1",
    "x-amz-object-lock-event-hold-duration-years": "1",
    "x-amz-optional-object-attributes": "RestoreStatus",
    "x-amz-server-side-encryption-bucket-key-enabled": "true",
    "x-amz-tagging": "a=(",
    "x-amz-tagging-directive": "REPLACE",
    "x-amz-client-token": "two words",
    "x-amz-rename-source-if-modified-since": lambda: formatdate(time.time(), usegmt=True),
    "x-amz-rename-source-if-none-match": "*",
    "x-amz-rename-source-if-unmodified-since": LONG_AGO,
    "x-amz-write-offset-bytes": "0",
}
"""Values that make a difference; ``nonsense`` does for the others."""

OWNER = "<ID>s3ish-root</ID>"
GRANT = (
    '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
    f"{OWNER}</Grantee><Permission>FULL_CONTROL</Permission></Grant>"
)
_DESTINATION = "<Destination><S3BucketDestination><Bucket>arn:aws:s3:::{bucket}</Bucket><Format>CSV</Format>"
_JOURNAL = (
    "<JournalTableConfiguration><RecordExpiration><Expiration>DISABLED</Expiration></RecordExpiration>"
    "</JournalTableConfiguration>"
)
_OFF = "<ConfigurationState>DISABLED</ConfigurationState>"
DOCUMENTS = {
    "abac": "<AbacStatus><Status>Enabled</Status></AbacStatus>",
    "accelerate": "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>",
    "analytics": "<AnalyticsConfiguration><Id>x</Id><StorageClassAnalysis/></AnalyticsConfiguration>",
    "cors": "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>"
    "</CORSConfiguration>",
    "acl": f"<AccessControlPolicy><Owner>{OWNER}</Owner><AccessControlList>{GRANT}</AccessControlList>"
    "</AccessControlPolicy>",
    "legal-hold": "<LegalHold><Status>OFF</Status></LegalHold>",
    "object-lock": "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
    "retention": "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>"
    "</Retention>",
    "encryption": "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
    "</ServerSideEncryptionConfiguration>",
    "intelligent-tiering": "<IntelligentTieringConfiguration><Id>x</Id><Status>Enabled</Status><Tiering><Days>90</Days>"
    "<AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering></IntelligentTieringConfiguration>",
    "inventory": f"<InventoryConfiguration>{_DESTINATION}</S3BucketDestination></Destination><Id>x</Id>"
    "<IsEnabled>true</IsEnabled><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule>"
    "</InventoryConfiguration>",
    "lifecycle": "<LifecycleConfiguration><Rule><ID>x</ID><Filter/><Status>Enabled</Status><Expiration><Days>1</Days>"
    "</Expiration></Rule></LifecycleConfiguration>",
    "logging": "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{bucket}</TargetBucket><TargetPrefix/>"
    "</LoggingEnabled></BucketLoggingStatus>",
    "metadataAnnotationTable": f"<AnnotationTableConfiguration>{_OFF}</AnnotationTableConfiguration>",
    "metadataConfiguration": f"<MetadataConfiguration>{_JOURNAL}</MetadataConfiguration>",
    "metadataInventoryTable": f"<InventoryTableConfiguration>{_OFF}</InventoryTableConfiguration>",
    "metadataJournalTable": _JOURNAL,
    "metadataTable": "<MetadataTableConfiguration><S3TablesDestination><TableBucketArn>"
    "arn:aws:s3tables:us-east-1:000000000000:bucket/tables</TableBucketArn><TableName>t</TableName>"
    "</S3TablesDestination></MetadataTableConfiguration>",
    "metrics": "<MetricsConfiguration><Id>x</Id></MetricsConfiguration>",
    "notification": "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>",
    "ownershipControls": "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
    "</OwnershipControls>",
    "policy": '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:Get*", '
    '"Resource": "arn:aws:s3:::*"}]}',
    "requestPayment": "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
    "publicAccessBlock": "<PublicAccessBlockConfiguration/>",
    "tagging": "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
    "website": "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument></WebsiteConfiguration>",
}
"""A good document of a bucket or an object, by the query key that selects it; its id is x."""
SELECT = (
    "<SelectObjectContentRequest><Expression>SELECT * FROM S3Object</Expression><ExpressionType>SQL</ExpressionType>"
    "<InputSerialization><CSV/></InputSerialization><OutputSerialization><CSV/></OutputSerialization>"
    "</SelectObjectContentRequest>"
)
RESTORE = "<RestoreRequest><Days>1</Days></RestoreRequest>"

VOLATILE = {"date", "x-amz-request-id", "x-amz-id-2", "last-modified", "location", "connection"}
CHANGING = re.compile(
    rb"<(UploadId|LastModified|Initiated|RequestId|HostId|Resource|Location|NextUploadIdMarker)>[^<]*"
)


def pairs():
    """Return every operation that is built with every header that the model gives it, but those of ``ELSEWHERE``."""
    found = []
    for name in BUILT:
        reference = MODEL["operations"].get(name, {}).get("input")
        members = SHAPES[reference["shape"]]["members"].values() if reference else ()
        headers = [member["locationName"] for member in members if member.get("location") in ("header", "headers")]
        found += [(name, header) for header in headers if header not in ELSEWHERE]
    return found


PAIRS = pairs()
DELETES = ("DeleteObject", "DeleteObjects")


def crc32(text):
    """Return a checksum of a document, as a header."""
    return {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(text.encode()).to_bytes(4, "big")).decode()}


def md5(text):
    return hashlib.md5(text.encode())


class Requests:
    """Sends a good request of each operation; what it needs is made anew for each.

    A method of an operation's name returns the path, the body and the headers that it needs.
    """

    def __init__(self, raw, new_bucket):
        self._raw, self._new_bucket = raw, new_bucket
        self.bucket = new_bucket()
        self._key, self._changed = f"/{self.bucket}/k", True
        self._source, self._target = new_bucket(), new_bucket()
        for bucket in (self._source, self._target):
            document = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            raw("PUT", f"/{bucket}?versioning=", document)
        raw("PUT", f"/{self.bucket}/source", "source", {"x-amz-meta-s": "1", "x-amz-tagging": "s=1"})
        raw("PUT", f"/{self.bucket}/restored", "away", {"x-amz-storage-class": "GLACIER"})
        raw("POST", f"/{self.bucket}/restored?restore=", RESTORE)

    def send(self, name, headers):
        """Return the status of a request, and all that can be seen of its answer and of its object."""
        operation = OPERATIONS[name]
        if self._changed:
            self._raw("PUT", self._key, "body", {"x-amz-meta-old": "1"})
        self._changed = operation.method not in ("GET", "HEAD")
        path, body, own = getattr(self, operation.handler.__name__, self._plain)(operation)
        headers = {header: value() if callable(value) else value for header, value in headers.items()}
        answer = self._raw(operation.method, path, body, own | headers)
        head = self._seen(self._raw("HEAD", self._key)) if self._changed else None
        return answer.status, self._seen(answer), head

    @staticmethod
    def _seen(answer):
        shown = {name: value for name, value in answer.headers.items() if name not in VOLATILE}
        return answer.status, shown, CHANGING.sub(b"", answer.body)

    def _plain(self, operation):
        """A request of nothing but its route."""
        path = operation.route.split(" ")[1].replace("{Bucket}", self.bucket).replace("{Key+}", "k")
        path = re.sub(r"(?<=[?&])([a-zA-Z-]+)(?=&|$)", r"\1=", path).replace("&id=", "&id=x")
        document = DOCUMENTS.get(operation.query[0][0], "") if operation.query else ""
        document = document.replace("{bucket}", self._target)
        if operation.name == "GetBucketPolicyStatus":
            self._raw("PUT", f"/{self.bucket}?policy=", DOCUMENTS["policy"])
        if operation.name.endswith(("Retention", "LegalHold", "LockConfiguration")):
            path = path.replace(self.bucket, self._lockable())
        if document and operation.method != "PUT":
            self._raw("PUT", path, document, {"x-amz-sdk-checksum-algorithm": "CRC32"} | crc32(document))
        needs_digest = operation.needs_digest and document
        return path, document if operation.method == "PUT" else "", crc32(document) if needs_digest else {}

    @functools.cache  # noqa: B019 - as long as the test
    def _lockable(self):
        """Return a bucket whose objects can be locked, with an object in it."""
        name = f"lock-{uuid.uuid4()}"
        self._raw("PUT", f"/{name}", "", {"x-amz-bucket-object-lock-enabled": "true"})
        self._raw("PUT", f"/{name}/k", "body")
        return name

    def _upload(self):
        upload = self._raw("POST", f"{self._key}?uploads=").xml.findtext("UploadId")
        self._raw("PUT", f"{self._key}?partNumber=1&uploadId={upload}", "part")
        return upload

    def create_bucket(self, _):
        return f"/new-{uuid.uuid4()}", "", {}

    def delete_bucket(self, _):
        return f"/{self._new_bucket()}", "", {}

    def put_bucket_versioning(self, _):
        name = "VersioningConfiguration"
        return f"/{self._new_bucket()}?versioning=", f"<{name}><Status>Suspended</Status></{name}>", {}

    def put_bucket_replication(self, _):
        rule = (
            f"<Prefix/><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::{self._target}</Bucket></Destination>"
        )
        content = f"<Role>arn:aws:iam::000000000000:role/r</Role><Rule><ID>x</ID>{rule}</Rule>"
        return f"/{self._source}?replication=", f"<ReplicationConfiguration>{content}</ReplicationConfiguration>", {}

    def get_bucket_replication(self, _):
        path, document, _ = self.put_bucket_replication(_)
        self._raw("PUT", path, document)
        return path, "", {}

    delete_bucket_replication = get_bucket_replication

    def create_bucket_metadata_configuration(self, operation):
        key = operation.query[0][0]
        return f"/{self._new_bucket()}?{key}=", DOCUMENTS[key], {}

    create_bucket_metadata_table_configuration = create_bucket_metadata_configuration

    @functools.cache  # noqa: B019 - as long as the test
    def _bucket_of(self, kind):
        """Return a bucket for a kind of documents, the same each time."""
        return self._new_bucket()

    def get_bucket_metadata_configuration(self, operation):
        key = operation.query[0][0]
        kind = "metadataTable" if key == "metadataTable" else "metadataConfiguration"
        bucket = self._bucket_of(kind)
        self._raw("POST", f"/{bucket}?{kind}=", DOCUMENTS[kind])
        return f"/{bucket}?{key}=", DOCUMENTS[key] if operation.method == "PUT" else "", {}

    delete_bucket_metadata_configuration = get_bucket_metadata_configuration
    get_bucket_metadata_table_configuration = get_bucket_metadata_configuration
    delete_bucket_metadata_table_configuration = get_bucket_metadata_configuration
    update_bucket_metadata_annotation_table_configuration = get_bucket_metadata_configuration
    update_bucket_metadata_inventory_table_configuration = get_bucket_metadata_configuration
    update_bucket_metadata_journal_table_configuration = get_bucket_metadata_configuration

    def put_object(self, _):
        return self._key, "other", {}

    def copy_object(self, _):
        return self._key, "", {"x-amz-copy-source": f"{self.bucket}/source"}

    def restore_object(self, _):
        return f"/{self.bucket}/restored?restore=", RESTORE, {}

    def select_object_content(self, _):
        return f"{self._key}?select=&select-type=2", SELECT, {}

    def update_object_encryption(self, _):
        named = self._raw("PUT", f"/{self.bucket}/named", "body", {"x-amz-server-side-encryption": "aws:kms"})
        key = named.headers["x-amz-server-side-encryption-aws-kms-key-id"]
        self._raw("PUT", self._key, "body", {"x-amz-server-side-encryption": "AES256", "x-amz-meta-old": "1"})
        body = f"<ObjectEncryption><SSE-KMS><KMSKeyArn>{key}</KMSKeyArn></SSE-KMS></ObjectEncryption>"
        return f"{self._key}?encryption=", body, crc32(body)

    def put_object_annotation(self, _):
        return f"{self._key}?annotation=&annotationName=n", "text", {}

    def get_object_annotation(self, _):
        self._raw("PUT", f"{self._key}?annotation=&annotationName=n", "text")
        return f"{self._key}?annotation=&annotationName=n", "", {}

    def delete_object_annotation(self, _):
        return f"{self._key}?annotation=&annotationName=n", "", {}

    def rename_object(self, _):
        bucket = self._new_bucket()  # one that never was versioned
        for key in ("k", "renamed"):
            self._raw("PUT", f"/{bucket}/{key}", "other")
        return f"/{bucket}/k?renameObject=", "", {"x-amz-rename-source": "renamed"}

    def delete_objects(self, _):
        body = "<Delete><Object><Key>k</Key></Object></Delete>"
        return f"/{self.bucket}?delete=", body, {"Content-MD5": base64.b64encode(md5(body).digest()).decode()}

    def get_object_attributes(self, _):
        return f"{self._parted()}?attributes=", "", {"x-amz-object-attributes": "ObjectParts"}

    @functools.cache  # noqa: B019 - as long as the test
    def _parted(self):
        """Return the path of an object of a part whose checksum was chosen."""
        path = f"/{self.bucket}/parted"
        chosen = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
        upload = self._raw("POST", f"{path}?uploads=", "", chosen).xml.findtext("UploadId")
        self._raw("PUT", f"{path}?partNumber=1&uploadId={upload}", "part", crc32("part"))
        part = f"<Part><PartNumber>1</PartNumber><ETag>{md5('part').hexdigest()}</ETag></Part>"
        self._raw("POST", f"{path}?uploadId={upload}", f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>")
        return path

    def upload_part(self, _):
        return f"{self._key}?partNumber=1&uploadId={self._upload()}", "part", {}

    def upload_part_copy(self, _):
        return self.upload_part(_)[0], "", {"x-amz-copy-source": f"{self.bucket}/source"}

    def complete_multipart_upload(self, _):
        part = f"<Part><PartNumber>1</PartNumber><ETag>{md5('part').hexdigest()}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"
        return f"{self._key}?uploadId={self._upload()}", body, {}

    def abort_multipart_upload(self, _):
        return f"{self._key}?uploadId={self._upload()}", "", {}

    list_parts = abort_multipart_upload


@pytest.fixture(scope="module")
def requests(raw, s3):
    def new_bucket():
        name = f"t-{uuid.uuid4().hex[:20]}"
        s3.create_bucket(Bucket=name)
        return name

    return Requests(raw, new_bucket)


@pytest.fixture(scope="module")
def without(requests):
    """A function that returns what is seen of an operation without any header; it succeeds."""

    @functools.cache
    def send(name):
        status, *seen = requests.send(name, {})
        assert status in (200, 204)
        return status, *seen

    return send


@pytest.mark.parametrize(("name", "header"), PAIRS, ids=[f"{name}: {header}" for name, header in PAIRS])
def test_a_header_makes_a_difference_or_is_known_to_make_none(requests, without, name, header):
    sent = f"{header}a" if header.endswith("-") else header
    found = requests.send(name, {sent: VALUES.get(header, "nonsense")})
    reason = IDLE.get((name, header))
    if reason:
        assert found == without(name), f"the header is not idle, though it {reason}"
    else:
        assert found != without(name), "the header is swallowed"
        assert found[0] < 500 or found[0] == 501


def test_what_is_known_of_headers_is_about_headers():
    assert VALUES.keys() <= {header for _, header in PAIRS}
    assert IDLE.keys() <= set(PAIRS)


# --- headers where they have no meaning -------------------------------------------------------------------------------

ENCRYPTION = "x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("name", "header", "value", "outcome"),
    [
        *(
            (name, ENCRYPTION, "AES256", (400, "InvalidArgument"))
            for name in ("GetObject", "UploadPart", "UploadPartCopy")
        ),
        ("GetObjectAttributes", f"{ENCRYPTION}-aws-kms-key-id", "k", (400, "InvalidArgument")),
        ("UploadPart", f"{ENCRYPTION}-context", "e30=", (400, "InvalidArgument")),
        ("CopyObject", "Range", "bytes=0-1", (400, "InvalidArgument")),
        ("UploadPartCopy", "Range", "bytes=0-1", (400, "InvalidArgument")),
        ("CopyObject", "x-amz-copy-source-range", "bytes=0-1", (400, "InvalidArgument")),
        ("UploadPartCopy", "x-amz-metadata-directive", "REPLACE", (400, "InvalidArgument")),
        ("PutObject", "x-amz-metadata-directive", "REPLACE", (400, "InvalidArgument")),
        ("PutObject", "x-amz-tagging-directive", "REPLACE", (400, "InvalidArgument")),
        ("PutObject", "x-amz-copy-source-if-match", '"x"', (400, "InvalidArgument")),
        ("UploadPart", "x-amz-copy-source-range", "bytes=0-1", (400, "InvalidArgument")),
        ("PutObject", "Content-Range", "bytes 0-1/2", (400, "InvalidArgument")),
        ("UploadPart", "Content-Range", "bytes 0-1/2", (400, "InvalidArgument")),
        *(
            (name, "x-amz-write-offset-bytes", "0", (501, "NotImplemented"))
            for name in (
                "CopyObject",
                "UploadPart",
                "UploadPartCopy",
                "RenameObject",
                "CreateMultipartUpload",
                "CompleteMultipartUpload",
            )
        ),
        ("PutObject", "If-Unmodified-Since", LONG_AGO, (501, "NotImplemented")),
        ("CopyObject", "If-Unmodified-Since", LONG_AGO, (501, "NotImplemented")),
        ("DeleteObject", "If-Unmodified-Since", LONG_AGO, (501, "NotImplemented")),
        ("DeleteObject", "If-None-Match", "*", (501, "NotImplemented")),
        *(
            (name, "x-amz-checksum-crc16", "AAA=", (400, "InvalidRequest"))
            for name in ("PutObject", "UploadPart", "CopyObject", "CompleteMultipartUpload", "DeleteObjects")
        ),
        *((name, "x-amz-bypass-governance-retention", "false", (400, "InvalidArgument")) for name in DELETES),
    ],
)
def test_headers_without_meaning_are_refused_and_change_nothing(requests, raw, name, header, value, outcome):
    status, (_, _, document), head = requests.send(name, {header: value})
    assert (status, f"<Code>{outcome[1]}</Code>".encode() in document) == (outcome[0], True)
    assert head is None or head[1]["x-amz-meta-old"] == "1"


def test_an_encryption_is_refused_by_head(requests):
    assert requests.send("HeadObject", {ENCRYPTION: "AES256"})[0] == 400


def test_the_refusal_names_the_header(raw, bucket):
    answer = raw("PUT", f"/{bucket}/k", "x", {"x-amz-metadata-directive": "REPLACE"})
    assert answer.xml.findtext("Message") == "The specified header is not valid in this context"
    assert answer.xml.findtext("ArgumentName") == "x-amz-metadata-directive"
    assert answer.xml.findtext("ArgumentValue") == "REPLACE"


@pytest.mark.parametrize("header", ["x-amz-unknown", "x-own", "X-Forwarded-For", "x-amz-checksum"])
def test_headers_that_nobody_gave_a_meaning_are_ignored(requests, without, header):
    for name in ("GetObject", "PutObject"):
        assert requests.send(name, {header: "1"}) == without(name)
