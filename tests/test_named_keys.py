"""Encryption under named keys (SSE-KMS, DSSE-KMS): which key is found, what the answers say, and keys out of use."""

import base64
import hashlib
import json
import uuid

import boto3
import pytest
import urllib3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.waiting import wait_until

MASTER, OTHER = (base64.b64encode(letter * 32).decode() for letter in (b"k", b"n"))
WORDS = b"words that nobody may read "
CONTEXT = base64.b64encode(json.dumps({"team": "billing"}).encode()).decode()
ARN = "arn:aws:kms:us-east-1:000000000000:"
LOST = "a master key that this store has been used with is not among the settings"
PART_BYTES = 5 * 1024 * 1024


class Server:
    """A server with a master key, which can be ended and begun again, and the command line beside it."""

    def __init__(self, start, run, data):
        self._start, self._run, self.data = start, run, data

    def begin(self, master=MASTER, **variables):
        self._variables = ({"S3ISH_MASTER_KEY": master} if master else {}) | variables
        self._process = self._start(self.data, **self._variables)
        self.endpoint = self._process.endpoint
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self._process.endpoint,
            aws_access_key_id="s3ishadmin",
            aws_secret_access_key="s3ishadmin",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
        return self.s3

    def end(self):
        code, logged = self._process.stop()
        assert code == 0
        assert "Traceback" not in logged
        return logged

    def run(self, *arguments):
        """Run a command beside the server; return what it prints."""
        ended = self._run(*arguments, "--volume", self.data, **self._variables)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def refused(self, *arguments):
        """Run a command that must fail; return what it says."""
        ended = self._run(*arguments, "--volume", self.data, **self._variables)
        assert ended.returncode != 0
        return ended.stderr

    def stored(self):
        """Return all bytes of all files."""
        return b"".join(path.read_bytes() for path in sorted(self.data.rglob("*")) if path.is_file())


@pytest.fixture
def server(start_server, run_s3ish, tmp_path):
    server = Server(start_server, run_s3ish, tmp_path / "data")
    server.begin()
    server.s3.create_bucket(Bucket="bucket")
    yield server
    server.end()


@pytest.fixture
def arn(server):
    """The ARN of a key."""
    return server.run("key", "create", "--alias", "alias/app", "--description", "of the tests")


def under(key=None, kind="aws:kms", **more):
    return {"ServerSideEncryption": kind} | ({"SSEKMSKeyId": key} if key else {}) | more


def refusal(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    return answer["Error"]["Code"], answer["Error"]["Message"]


def test_a_list_of_objects_is_encrypted_as_its_document_says(server, arn):
    """The bucket that takes it says nothing of encryption."""
    where = {"Bucket": "arn:aws:s3:::bucket", "Format": "CSV"}
    for name, encryption in (("kms", {"SSEKMS": {"KeyId": arn}}), ("s3", {"SSES3": {}}), ("plain", None)):
        said = where | ({"Encryption": encryption} if encryption else {})
        server.s3.put_bucket_inventory_configuration(
            Bucket="bucket",
            Id=name,
            InventoryConfiguration={
                "Id": name,
                "IsEnabled": True,
                "IncludedObjectVersions": "Current",
                "Schedule": {"Frequency": "Daily"},
                "Destination": {"S3BucketDestination": said},
            },
        )
    server.end()
    server.begin()  # which looks at once for lists that are due
    found = {}

    def complete():
        for name in ("kms", "s3", "plain"):
            listed = server.s3.list_objects_v2(Bucket="bucket", Prefix=f"bucket/{name}/").get("Contents", ())
            found[name] = [it["Key"] for it in listed]
        return all(any(key.endswith("symlink.txt") for key in listed) for listed in found.values())

    wait_until(complete)
    kinds = {"kms": ("aws:kms", arn), "s3": ("AES256", None), "plain": (None, None)}
    for name, listed in found.items():
        heads = [server.s3.head_object(Bucket="bucket", Key=key) for key in listed]
        assert {(it.get("ServerSideEncryption"), it.get("SSEKMSKeyId")) for it in heads} == {kinds[name]}
        assert len(heads) == 4


def test_a_key_is_named_by_its_id_an_alias_or_an_arn(server, arn):
    s3 = server.s3
    names = (arn, arn.rpartition("/")[2], "alias/app", f"{ARN}alias/app")
    for size in (0, 1000, 300_000):
        data = (WORDS * (size // len(WORDS) + 1))[:size]
        for name in names:
            put = s3.put_object(Bucket="bucket", Key="k", Body=data, **under(name, SSEKMSEncryptionContext=CONTEXT))
            found = s3.get_object(Bucket="bucket", Key="k")
            assert found["Body"].read() == data
            assert put["SSEKMSEncryptionContext"] == CONTEXT
            assert put["ETag"] == found["ETag"] != f'"{hashlib.md5(data).hexdigest()}"'
            for answer in (put, found, s3.head_object(Bucket="bucket", Key="k")):
                assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", arn)
                assert "BucketKeyEnabled" not in answer
            assert "SSEKMSEncryptionContext" not in found
    asked = s3.get_object(Bucket="bucket", Key="k", Range="bytes=65530-65545")
    assert asked["Body"].read() == data[65530:65546]
    assert WORDS not in server.stored()
    listed = server.run("key", "ls").splitlines()[1]
    assert listed.split()[:2] == [arn.rpartition("/")[2], "Enabled"]
    assert listed.endswith("alias/app")
    assert "there is a key with the alias" in server.refused("key", "create", "--alias", "alias/app")


KEYS = """
[[encryption.keys]]
alias = "alias/first"
id = "0d8f1c32-6a3b-4f0e-9a55-0c7d2f1f7a10"
description = "Invoices"

[[encryption.keys]]
alias = "alias/second"
"""


def test_keys_of_the_settings_are_made_once(start_server, run_s3ish, tmp_path):
    (tmp_path / "s3ish.toml").write_text(KEYS)
    server, config = Server(start_server, run_s3ish, tmp_path / "data"), str(tmp_path / "s3ish.toml")
    s3 = server.begin(S3ISH_CONFIG=config)
    s3.create_bucket(Bucket="bucket")
    made = [
        s3.put_object(Bucket="bucket", Key=name, Body=WORDS, **under(f"alias/{name}")) for name in ("first", "second")
    ]
    assert made[0]["SSEKMSKeyId"] == f"{ARN}key/0d8f1c32-6a3b-4f0e-9a55-0c7d2f1f7a10"
    listed = server.run("key", "ls")
    server.run("key", "disable", "alias/second")
    server.end()
    s3 = server.begin(S3ISH_CONFIG=config)
    assert server.run("key", "ls").count("\n") == listed.count("\n") == 2
    assert s3.get_object(Bucket="bucket", Key="first")["Body"].read() == WORDS
    assert refusal(s3.get_object, Bucket="bucket", Key="second")[0] == "KMS.DisabledException"
    server.end()
    (tmp_path / "s3ish.toml").write_text(KEYS.replace("0d8f1c32", "00000000"))
    ended = run_s3ish("serve", tmp_path / "data", "--port", "0", S3ISH_MASTER_KEY=MASTER, S3ISH_CONFIG=config)
    assert ended.returncode != 0
    assert "cannot make the key alias/first: it is there, with the id 0d8f1c32-" in ended.stdout + ended.stderr


def test_the_default_key_is_made_when_it_is_needed(server):
    s3 = server.s3
    shown = s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under())["SSEKMSKeyId"]
    assert shown == s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under("alias/aws/s3"))["SSEKMSKeyId"]
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == WORDS
    assert server.run("key", "ls").count("\n") == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        ("aws/s3", "Invalid keyId 'aws/s3'"),
        (str(uuid.UUID(int=1)), f"Key '{ARN}key/{uuid.UUID(int=1)}' does not exist"),
        (f"{ARN}key/{uuid.UUID(int=1)}", f"Key '{ARN}key/{uuid.UUID(int=1)}' does not exist"),
        ("alias/none", f"Alias {ARN}alias/none is not found."),
        (f"arn:aws:kms:us-west-2:000000000000:key/{uuid.UUID(int=1)}", "Invalid arn us-west-2"),
        ("../../etc/passwd", "Invalid keyId '../../etc/passwd'"),
    ],
)
def test_a_key_that_is_not_there(server, name, says):
    calls = (server.s3.put_object, server.s3.create_multipart_upload)
    assert {refusal(call, Bucket="bucket", Key="k", **under(name)) for call in calls} == {
        ("KMS.NotFoundException", says)
    }
    assert "Contents" not in server.s3.list_objects_v2(Bucket="bucket")


def test_a_key_that_is_disabled_deleted_or_gone(server, arn):
    s3 = server.s3
    s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under(arn))
    upload = s3.create_multipart_upload(Bucket="bucket", Key="u", **under(arn))["UploadId"]
    calls = [
        (s3.get_object, {"Key": "k"}),
        (s3.put_object, {"Key": "k", "Body": b"new"} | under(arn)),
        (s3.copy_object, {"Key": "copy", "CopySource": "bucket/k"}),
        (s3.upload_part, {"Key": "u", "UploadId": upload, "PartNumber": 1, "Body": b"x"}),
        (s3.upload_part_copy, {"Key": "u", "UploadId": upload, "PartNumber": 1, "CopySource": "bucket/k"}),
    ]
    for command, outcome in (
        (("disable", "alias/app"), ("KMS.DisabledException", f"{arn} is disabled.")),
        (("rm", arn), ("KMS.KMSInvalidStateException", f"{arn} is pending deletion.")),
    ):
        server.run("key", *command)
        assert {refusal(call, Bucket="bucket", **arguments) for call, arguments in calls} == {outcome}
        assert s3.head_object(Bucket="bucket", Key="k")["SSEKMSKeyId"] == arn
        server.run("key", "enable", arn)
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == WORDS
    server.run("key", "rm", "--forever", arn)
    assert refusal(s3.get_object, Bucket="bucket", Key="k")[0] == "KMS.NotFoundException"
    assert refusal(s3.put_object, Bucket="bucket", Key="k", **under("alias/app"))[0] == "KMS.NotFoundException"
    s3.delete_object(Bucket="bucket", Key="k")


def signing(server, version):
    """A client that signs by a version, or not at all; URLs too."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
        config=Config(signature_version=version, retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}
VERSION_4 = (
    "InvalidArgument",
    "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
)


@pytest.mark.parametrize("signature", ["s3", UNSIGNED])
@pytest.mark.parametrize("kind", ["aws:kms", "aws:kms:dsse"])
def test_data_under_a_named_key_is_for_signatures_of_version_4_alone(server, arn, signature, kind):
    s3, other = server.s3, signing(server, signature)
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [EVERYBODY]}))
    s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under(arn, kind))
    upload = s3.create_multipart_upload(Bucket="bucket", Key="u", **under(arn, kind))["UploadId"]
    part = {"Key": "u", "UploadId": upload, "PartNumber": 1}
    calls = [
        (other.get_object, {"Key": "k"}),
        (other.put_object, {"Key": "new", "Body": b"x"} | under(arn, kind)),
        (other.upload_part, part | {"Body": b"x"}),
    ]
    if signature != UNSIGNED:  # these are never for anonymous callers
        calls += [
            (other.copy_object, {"Key": "new", "CopySource": "bucket/k"}),
            (other.create_multipart_upload, {"Key": "new"} | under(arn, kind)),
            (other.upload_part_copy, part | {"CopySource": "bucket/k"}),
        ]
    for call, arguments in calls:
        assert refusal(call, Bucket="bucket", **arguments) == VERSION_4
    assert other.head_object(Bucket="bucket", Key="k")["SSEKMSKeyId"] == arn
    other.put_object(Bucket="bucket", Key="plain", Body=b"x")
    assert other.get_object(Bucket="bucket", Key="plain")["Body"].read() == b"x"
    if signature != UNSIGNED:
        assert refusal(other.upload_part_copy, Bucket="bucket", **part, CopySource="bucket/plain") == VERSION_4
    assert [it["Key"] for it in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["k", "plain"]


def test_urls_and_forms_for_named_keys_are_signed_by_version_4(server, arn):
    s3 = server.s3
    s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under(arn))
    for version, status in (("s3", 400), ("s3v4", 200)):
        client = signing(server, version)
        url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})
        found = urllib3.request("GET", url)
        assert (found.status, found.data == WORDS) == (status, status == 200), version
        fields = {"x-amz-server-side-encryption": "aws:kms"}
        form = client.generate_presigned_post("bucket", "form", fields, [fields])
        sent = urllib3.request("POST", form["url"], fields=form["fields"] | {"file": ("f", WORDS)})
        assert sent.status == (204 if status == 200 else 400), version


def test_the_default_of_a_bucket_asks_for_version_4_too_and_so_without_a_master_key(start_server, run_s3ish, tmp_path):
    server = Server(start_server, run_s3ish, tmp_path / "plain")
    s3 = server.begin(master=None)
    s3.create_bucket(Bucket="bucket")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under())
    other = signing(server, "s3")
    assert refusal(other.put_object, Bucket="bucket", Key="new", Body=WORDS) == VERSION_4
    assert refusal(other.get_object, Bucket="bucket", Key="k") == VERSION_4
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == WORDS
    server.end()


def test_a_bucket_has_a_key_by_default(server, arn):
    s3 = server.s3
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/app"}}
    rule["BucketKeyEnabled"] = True
    s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
    for arguments in ({}, under(arn)):
        put = s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **arguments)
        assert (put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == (arn, True)
        assert s3.get_object(Bucket="bucket", Key="k")["BucketKeyEnabled"] is True
    put = s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under(arn, BucketKeyEnabled=False))
    assert "BucketKeyEnabled" not in put
    assert s3.put_object(Bucket="bucket", Key="k", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"


def test_a_request_says_of_the_bucket_key_alone(server, arn):
    """What says nothing of the type has that of the bucket."""
    s3 = server.s3
    s3.put_object(Bucket="bucket", Key="source", Body=WORDS)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    for by_bucket in (True, False):
        rules = {"Rules": [rule | {"BucketKeyEnabled": by_bucket}]}
        s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration=rules)
        for asked in ({}, {"BucketKeyEnabled": True}, {"BucketKeyEnabled": False}):
            to, wanted = {"Bucket": "bucket", "Key": "k", **asked}, asked.get("BucketKeyEnabled", by_bucket)
            answers = [
                s3.put_object(**to, Body=WORDS),
                s3.copy_object(**to, CopySource="bucket/source"),
                s3.create_multipart_upload(**to),
            ]
            for answer in (*answers, s3.head_object(Bucket="bucket", Key="k")):
                assert (answer["SSEKMSKeyId"], answer.get("BucketKeyEnabled", False)) == (arn, wanted)


def test_a_bucket_key_is_refused_where_the_bucket_encrypts_otherwise(server, arn):
    s3, code = server.s3, "InvalidArgument"
    to = {"Bucket": "bucket", "Key": "k", "BucketKeyEnabled": True}
    for kind in ("AES256", "aws:kms:dsse"):
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": kind}}
        s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
        assert refusal(s3.put_object, **to, Body=WORDS)[0] == code
        assert refusal(s3.create_multipart_upload, **to)[0] == code
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert refusal(s3.put_object, **to, Body=WORDS, SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)[0] == code


def test_parts_and_copies(server, arn):
    s3 = server.s3
    second = server.run("key", "create")
    parts = [(WORDS * 200_000)[:PART_BYTES], WORDS]
    arguments = {"Bucket": "bucket", "Key": "k"}
    begun = s3.create_multipart_upload(**arguments, **under(arn, SSEKMSEncryptionContext=CONTEXT))
    arguments["UploadId"] = begun["UploadId"]
    answers = [s3.upload_part(**arguments, PartNumber=number, Body=part) for number, part in enumerate(parts, 1)]
    done = [{"PartNumber": number, "ETag": answer["ETag"]} for number, answer in enumerate(answers, 1)]
    whole = s3.complete_multipart_upload(**arguments, MultipartUpload={"Parts": done})
    for answer in (begun, *answers, whole):
        assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", arn)
    for name, wanted in (("one", under(arn)), ("two", under(second)), ("three", {"ServerSideEncryption": "AES256"})):
        s3.copy_object(Bucket="bucket", Key=name, CopySource="bucket/k", **wanted)
        found = s3.get_object(Bucket="bucket", Key=name)
        assert found["Body"].read() == b"".join(parts)
        assert found.get("SSEKMSKeyId") == wanted.get("SSEKMSKeyId")
    server.run("key", "disable", arn)
    assert s3.get_object(Bucket="bucket", Key="two")["Body"].read() == b"".join(parts)
    server.run("key", "enable", arn)
    assert WORDS not in server.stored()


def test_two_layers(server, arn):
    s3 = server.s3
    data = (WORDS * 10_000)[:200_000]
    put = s3.put_object(Bucket="bucket", Key="k", Body=data, **under(arn, "aws:kms:dsse"))
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms:dsse", arn)
    for start, stop in ((0, len(data)), (65_530, 65_540), (131_070, 200_000)):
        asked = s3.get_object(Bucket="bucket", Key="k", Range=f"bytes={start}-{stop - 1}")
        assert asked["Body"].read() == data[start:stop]
    server.run("key", "disable", arn)
    assert refusal(s3.get_object, Bucket="bucket", Key="k")[0] == "KMS.DisabledException"


@pytest.mark.parametrize(
    "context", ["x", "e30", base64.b64encode(b"[1]").decode(), base64.b64encode(b'{"a": 1}').decode()]
)
def test_a_context_that_is_none(server, context):
    code, says = refusal(server.s3.put_object, Bucket="bucket", Key="k", **under(SSEKMSEncryptionContext=context))
    assert code == "InvalidArgument"
    assert "string-string map" in says


def test_keys_outlive_the_index_and_need_their_master_key(server, arn):
    server.s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under("alias/app"))
    server.end()
    rebuilt = server._run("index", "rebuild", server.data)
    assert rebuilt.returncode == 0, rebuilt.stderr
    s3 = server.begin()
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == WORDS
    assert s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **under("alias/app"))["SSEKMSKeyId"] == arn
    assert LOST not in server.end()
    for other in (OTHER, None):
        s3 = server.begin(other)
        with pytest.raises(ClientError, match="InternalError"):
            s3.get_object(Bucket="bucket", Key="k")
        assert LOST in server.end()
    s3 = server.begin(OTHER, S3ISH_ENCRYPTION_PREVIOUS_MASTER_KEY=MASTER)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == WORDS
    assert LOST not in server.end()
    server.begin()


def test_keys_need_a_master_key(run_s3ish, tmp_path):
    ended = run_s3ish("key", "ls", "--volume", tmp_path / "data")
    assert ended.returncode == 1
    assert "master key" in ended.stderr


def put_in_parts(s3, name, parts, **create):
    arguments = {"Bucket": "bucket", "Key": name}
    arguments["UploadId"] = s3.create_multipart_upload(**arguments, **create)["UploadId"]
    answers = [s3.upload_part(**arguments, PartNumber=number, Body=part) for number, part in enumerate(parts, 1)]
    done = [{"PartNumber": number, "ETag": answer["ETag"]} for number, answer in enumerate(answers, 1)]
    return s3.complete_multipart_upload(**arguments, MultipartUpload={"Parts": done})["ETag"]


def shards(server):
    """Return what is stored of data, by file."""
    return {path: path.read_bytes() for path in server.data.rglob("data.*") if path.is_file()}


def checked(server):
    ended = server._run("check", server.data)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "damaged" not in ended.stdout.replace("0 damaged", "")


def test_an_object_gets_another_key_and_its_data_stays(server, arn):
    s3, second = server.s3, server.run("key", "create")
    parts, data = [(WORDS * 200_000)[:PART_BYTES], WORDS], (WORDS * 20_000)[:300_000]
    tags = {
        "small": s3.put_object(Bucket="bucket", Key="small", Body=WORDS, ServerSideEncryption="AES256")["ETag"],
        "large": s3.put_object(Bucket="bucket", Key="large", Body=data, **under(arn))["ETag"],
        "parts": put_in_parts(s3, "parts", parts, ServerSideEncryption="AES256"),
    }
    bodies = {"small": WORDS, "large": data, "parts": b"".join(parts)}
    for name in bodies:
        s3.put_object_annotation(Bucket="bucket", Key=name, AnnotationName="n", AnnotationPayload=WORDS)
    before = shards(server)
    for wanted, bucket_key in ((second, True), (arn, False), (second, False)):
        for name, body in bodies.items():
            modified = s3.head_object(Bucket="bucket", Key=name)["LastModified"]
            encryption = {"SSEKMS": {"KMSKeyArn": wanted, "BucketKeyEnabled": bucket_key}}
            s3.update_object_encryption(Bucket="bucket", Key=name, ObjectEncryption=encryption)
            found = s3.get_object(Bucket="bucket", Key=name)
            assert found["Body"].read() == body
            assert (found["ETag"], found["LastModified"]) == (tags[name], modified)
            assert (found["SSEKMSKeyId"], found.get("BucketKeyEnabled", False)) == (wanted, bucket_key)
    assert shards(server) == before
    checked(server)
    server.run("key", "disable", arn)
    assert s3.get_object(Bucket="bucket", Key="large")["Body"].read() == data
    for name in bodies:
        annotation = s3.get_object_annotation(Bucket="bucket", Key=name, AnnotationName="n")
        assert annotation["AnnotationPayload"].read() == WORDS
    server.run("key", "disable", second)
    for name in bodies:
        assert refusal(s3.get_object, Bucket="bucket", Key=name)[0] == "KMS.DisabledException"
    server.run("key", "enable", second)
    server.end()
    rebuilt = server._run("index", "rebuild", server.data)
    assert rebuilt.returncode == 0, rebuilt.stderr
    s3 = server.begin()
    for name, body in bodies.items():
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body


def test_a_policy_asks_for_the_key_in_the_body_not_in_a_header(server, arn):
    s3, second = server.s3, server.run("key", "create")
    s3.put_object(Bucket="bucket", Key="k", Body=WORDS, ServerSideEncryption="AES256")
    header = "x-amz-server-side-encryption-aws-kms-key-id"
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:UpdateObjectEncryption",
        "Resource": "arn:aws:s3:::bucket/*",
    }
    condition = {"StringNotEquals": {f"s3:{header}": arn}}
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps({"Statement": deny | {"Condition": condition}}))

    def send(key):
        s3.update_object_encryption(Bucket="bucket", Key="k", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key}})

    def pretend(params, **_):
        params["headers"][header] = arn

    send(arn)
    s3.meta.events.register("before-call.s3.UpdateObjectEncryption", pretend)
    with pytest.raises(ClientError, match="AccessDenied"):
        send(second)


def test_which_objects_get_no_other_key(server, arn):
    s3, customer = server.s3, {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"c" * 32}
    encryption = {"SSEKMS": {"KMSKeyArn": arn}}
    for arguments in ({}, customer, under(arn, "aws:kms:dsse")):
        s3.put_object(Bucket="bucket", Key="k", Body=WORDS, **arguments)
        call = {"Bucket": "bucket", "Key": "k", "ObjectEncryption": encryption}
        assert refusal(s3.update_object_encryption, **call)[0] == "InvalidRequest"
    s3.put_object(Bucket="bucket", Key="k", Body=WORDS, ServerSideEncryption="AES256")
    for name in ("alias/app/of-the-tests", f"{ARN}alias/app"):
        call["ObjectEncryption"] = {"SSEKMS": {"KMSKeyArn": name}}
        assert refusal(s3.update_object_encryption, **call)[0] == "InvalidRequest"
    call["ObjectEncryption"] = {"SSEKMS": {"KMSKeyArn": f"{ARN}key/{uuid.UUID(int=1)}"}}
    assert refusal(s3.update_object_encryption, **call)[0] == "KMS.NotFoundException"
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    held = {"ObjectLockLegalHoldStatus": "ON"}
    s3.put_object(Bucket="locked", Key="k", Body=WORDS, ServerSideEncryption="AES256", **held)
    with pytest.raises(ClientError, match=r"AccessDenied.*Object Lock"):
        s3.update_object_encryption(Bucket="locked", Key="k", ObjectEncryption=encryption)


def test_a_key_is_rotated_and_its_objects_are_sealed_under_the_new_material(server, arn):
    s3 = server.s3
    parts = [(WORDS * 200_000)[:PART_BYTES], WORDS]
    s3.put_object(Bucket="bucket", Key="small", Body=WORDS, **under(arn))
    s3.put_object(Bucket="bucket", Key="two", Body=WORDS, **under(arn, "aws:kms:dsse"))
    s3.put_object(Bucket="bucket", Key="other", Body=WORDS, **under())
    put_in_parts(s3, "parts", parts, **under(arn))
    before = shards(server)
    assert server.run("key", "rotate", "alias/app") == "material 2, 3 objects"
    assert server.run("key", "rewrap") == "0 named keys, 0 objects"
    assert shards(server) == before
    checked(server)
    for name, body in (("small", WORDS), ("two", WORDS), ("other", WORDS), ("parts", b"".join(parts))):
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body
    s3.put_object(Bucket="bucket", Key="new", Body=WORDS, **under(arn))
    assert s3.get_object(Bucket="bucket", Key="new")["Body"].read() == WORDS


def test_the_master_key_is_changed_without_writing_data(server, arn):
    s3 = server.s3
    parts = [(WORDS * 200_000)[:PART_BYTES], WORDS]
    s3.put_object(Bucket="bucket", Key="named", Body=WORDS, **under(arn))
    s3.put_object(Bucket="bucket", Key="small", Body=WORDS, ServerSideEncryption="AES256")
    put_in_parts(s3, "parts", parts, ServerSideEncryption="AES256")
    s3.put_object(Bucket="bucket", Key="plain", Body=WORDS[:5])
    begun = {"Bucket": "bucket", "Key": "begun"}
    begun["UploadId"] = s3.create_multipart_upload(**begun, ServerSideEncryption="AES256")["UploadId"]
    s3.upload_part(**begun, PartNumber=1, Body=WORDS)
    before = shards(server)
    server.end()
    s3 = server.begin(OTHER, S3ISH_ENCRYPTION_PREVIOUS_MASTER_KEY=MASTER)
    left = "; 1 parts of uploads still need an older master key"
    assert server.run("key", "rewrap") == "1 named keys, 2 objects" + left
    assert shards(server) == before
    s3.abort_multipart_upload(**begun)
    assert server.run("key", "rewrap") == "0 named keys, 0 objects"
    server.end()
    s3 = server.begin(OTHER)
    for name, body in (("small", WORDS), ("named", WORDS), ("parts", b"".join(parts)), ("plain", WORDS[:5])):
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body
    checked(server)
    assert LOST not in server.end()
    server.begin(OTHER)


def test_objects_under_named_keys_are_replicated_where_the_rule_says_so(server, arn):
    s3 = server.s3
    for bucket in ("source", "target"):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": "arn:aws:s3:::target",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": arn},
        },
    }
    role = "arn:aws:iam::000000000000:role/replication"
    s3.put_bucket_replication(Bucket="source", ReplicationConfiguration={"Role": role, "Rules": [rule]})
    data = WORDS * 10_000
    for size in (100, len(data)):
        s3.put_object(Bucket="source", Key=f"k{size}", Body=data[:size], **under(arn, SSEKMSEncryptionContext=CONTEXT))
        wait_until(lambda: s3.head_object(Bucket="source", Key=f"k{size}")["ReplicationStatus"] != "PENDING")  # noqa: B023
        found = s3.get_object(Bucket="target", Key=f"k{size}")
        assert found["Body"].read() == data[:size]
        assert (found["ReplicationStatus"], found["SSEKMSKeyId"]) == ("REPLICA", arn)
    server.run("key", "disable", "alias/app")
    with pytest.raises(ClientError, match=r"KMS\.DisabledException"):
        s3.get_object(Bucket="target", Key="k100")


def test_replicas_are_encrypted_under_the_key_that_the_rule_names(server, arn):
    s3 = server.s3
    other = server.run("key", "create", "--alias", "alias/replicas")
    for bucket in ("source", "target"):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    encryption = {"ReplicaKmsKeyID": "alias/replicas"}
    rule = {
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {"Bucket": "arn:aws:s3:::target", "EncryptionConfiguration": encryption},
    }
    role = "arn:aws:iam::000000000000:role/replication"
    s3.put_bucket_replication(Bucket="source", ReplicationConfiguration={"Role": role, "Rules": [rule]})
    data = WORDS * 10_000
    for size in (100, len(data)):
        s3.put_object(Bucket="source", Key=f"k{size}", Body=data[:size], **under(arn))
    s3.put_object(Bucket="source", Key="plain", Body=b"x", ServerSideEncryption="AES256")
    keys = ["plain", "k100", f"k{len(data)}"]
    wait_until(
        lambda: all(s3.head_object(Bucket="source", Key=key)["ReplicationStatus"] == "COMPLETED" for key in keys)
    )
    etags = {key: s3.head_object(Bucket="source", Key=key)["ETag"] for key in keys}
    server.run("key", "disable", "alias/app")
    for size in (100, len(data)):
        found = s3.get_object(Bucket="target", Key=f"k{size}")
        assert found["Body"].read() == data[:size]
        assert (found["ETag"], found["SSEKMSKeyId"]) == (etags[f"k{size}"], other)
    assert s3.head_object(Bucket="target", Key="plain")["ServerSideEncryption"] == "AES256"
    tags = [{"Key": "a", "Value": "b"}]
    s3.put_object_tagging(Bucket="source", Key="k100", Tagging={"TagSet": tags})
    wait_until(lambda: s3.get_object_tagging(Bucket="target", Key="k100")["TagSet"] == tags)
    assert s3.head_object(Bucket="target", Key="k100")["SSEKMSKeyId"] == other
