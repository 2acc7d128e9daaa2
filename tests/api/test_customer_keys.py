"""Encryption under a key that the client brings (SSE-C): reads, writes, copies, uploads, forms, and what is refused.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
"""

import base64
import hashlib
import http.client
import json
import uuid
from urllib.parse import quote, urlencode, urlsplit

import pytest

KEY, OTHER = b"0123456789abcdef0123456789abcdef", b"another key of thirty-two bytes."
PREFIX = "x-amz-server-side-encryption-customer-"
SOURCE = "x-amz-copy-source-server-side-encryption-customer-"
WORDS = b"words that nobody may read "
PART_BYTES = 5 * 1024 * 1024
INLINE_BYTES = 32_768


def md5_of(key):
    return base64.b64encode(hashlib.md5(key).digest()).decode()


def under(key):
    """Return the arguments of a boto3 call with a key; boto3 adds the digest."""
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def spelled(key):
    """Return the same for the calls for which boto3 does not encode the key."""
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(key).decode(),
        "SSECustomerKeyMD5": md5_of(key),
    }


def source_under(key):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


def headers(secret=KEY, prefix=PREFIX, **changed):
    """Return the three headers of a key; one that is changed to None is left out."""
    found = {"algorithm": "AES256", "key": base64.b64encode(secret).decode(), "key-MD5": md5_of(secret)}
    found |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {prefix + name: value for name, value in found.items() if value is not None}


def confirms(answer, key=KEY):
    """Whether an answer confirms a key, and says nothing of another encryption."""
    told = (answer.get("SSECustomerAlgorithm"), answer.get("SSECustomerKeyMD5"))
    return told == ("AES256", md5_of(key)) and "ServerSideEncryption" not in answer


def data_of(size):
    return (WORDS * (size // len(WORDS) + 1))[:size]


def bytes_of(server, bucket):
    """Return what all files of a bucket hold."""
    return b"".join(path.read_bytes() for path in (server.data / bucket).rglob("*") if path.is_file())


@pytest.fixture
def secret(s3, bucket):
    """An object under the key."""
    s3.put_object(Bucket=bucket, Key="secret", Body=WORDS, **under(KEY))
    return f"/{bucket}/secret"


def upload_parts(s3, bucket, name, parts, create=(), part_arguments=()):
    """Upload parts; return the answers to them and to the completion."""
    arguments = {"Bucket": bucket, "Key": name}
    begun = s3.create_multipart_upload(**arguments, **dict(create))
    arguments["UploadId"] = begun["UploadId"]
    answers = [
        s3.upload_part(**arguments, PartNumber=number, Body=part, **dict(part_arguments))
        for number, part in enumerate(parts, 1)
    ]
    done = [{"PartNumber": number, "ETag": answer["ETag"]} for number, answer in enumerate(answers, 1)]
    return begun, answers, s3.complete_multipart_upload(**arguments, MultipartUpload={"Parts": done})


# --- objects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1000, 70_000, 300_000, 3_000_000])
def test_an_object_comes_back_under_its_key(s3, server, bucket, size):
    data = data_of(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=data, **under(KEY))
    found = s3.get_object(Bucket=bucket, Key="k", **under(KEY))
    assert (found["Body"].read(), found["ContentLength"], found["ETag"]) == (data, size, put["ETag"])
    assert confirms(put)
    assert confirms(found)
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == size
    stored = bytes_of(server, bucket)
    assert len(stored) > (size if size > INLINE_BYTES else 0)
    assert WORDS not in stored


def test_ranges_and_parts_of_an_object_come_back(s3, bucket):
    data = data_of(200_000)
    s3.put_object(Bucket=bucket, Key="k", Body=data, **under(KEY))
    for start, stop in ((0, 1), (65_535, 65_537), (100_000, 200_000), (199_999, 200_000)):
        found = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={start}-{stop - 1}", **under(KEY))
        assert found["Body"].read() == data[start:stop]
        assert found["ContentRange"] == f"bytes {start}-{stop - 1}/{len(data)}"
    assert s3.get_object(Bucket=bucket, Key="k", PartNumber=1, **under(KEY))["Body"].read() == data


def test_its_head_and_its_attributes_need_the_key_too(s3, bucket, secret, raw):
    head = s3.head_object(Bucket=bucket, Key="secret", **under(KEY))
    assert (head["ContentLength"], confirms(head)) == (len(WORDS), True)
    found = s3.get_object_attributes(
        Bucket=bucket, Key="secret", ObjectAttributes=["ObjectSize", "ETag"], **spelled(KEY)
    )
    assert (found["ObjectSize"], found["ETag"]) == (len(WORDS), head["ETag"].strip('"'))
    asked = {"x-amz-object-attributes": "ETag"}
    assert raw("GET", f"{secret}?attributes=", headers=asked).outcome == (400, "InvalidRequest")
    assert raw("GET", f"{secret}?attributes=", headers=asked | headers(OTHER)).outcome == (403, "AccessDenied")


def test_its_entity_tag_is_not_the_digest_of_its_data(s3, bucket):
    tags = {s3.put_object(Bucket=bucket, Key="k", Body=WORDS, **under(KEY))["ETag"] for _ in range(2)}
    assert len(tags) == 2
    assert f'"{hashlib.md5(WORDS).hexdigest()}"' not in tags
    assert all(len(tag) == 34 for tag in tags)


def test_its_checksum_is_that_of_its_data(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=WORDS, ChecksumAlgorithm="SHA256", **under(KEY))
    assert put["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(WORDS).digest()).decode()


def test_each_version_has_its_own_key(s3, versioned, refused):
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"first", **under(KEY))["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=b"second", **under(OTHER))
    assert s3.get_object(Bucket=versioned, Key="k", **under(OTHER))["Body"].read() == b"second"
    assert s3.get_object(Bucket=versioned, Key="k", VersionId=first, **under(KEY))["Body"].read() == b"first"
    refused("AccessDenied", 403, s3.get_object, Bucket=versioned, Key="k", VersionId=first, **under(OTHER))


def test_it_is_removed_and_tagged_without_its_key(s3, bucket, secret):
    s3.put_object_tagging(Bucket=bucket, Key="secret", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3.head_object(Bucket=bucket, Key="secret", **under(KEY))["TagCount"] == 1
    s3.delete_object(Bucket=bucket, Key="secret")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_url_is_presigned_for_a_key_that_its_user_sends(s3, bucket, secret):
    url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "secret", **under(KEY)}))
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request("GET", f"{url.path}?{url.query}", headers=headers())
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, WORDS)
    connection.close()


def test_a_key_may_stand_in_a_presigned_query(secret, presign, raw):
    query = urlencode(headers(), quote_via=quote)
    answer = raw("GET", presign("GET", f"{secret}?{query}"), keys=None)
    assert (answer.status, answer.body) == (200, WORDS)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({}, 400, "InvalidRequest"),
        (headers(OTHER), 403, "AccessDenied"),
        (headers(algorithm="AES128"), 400, "InvalidEncryptionAlgorithmError"),
        (headers(algorithm=""), 400, "InvalidEncryptionAlgorithmError"),
        (headers(algorithm=None), 400, "InvalidArgument"),
        (headers(key=None), 400, "InvalidArgument"),
        (headers(key_MD5=None), 400, "InvalidArgument"),
        (headers(key_MD5=md5_of(OTHER)), 400, "InvalidArgument"),
        (headers(key_MD5="é"), 400, "InvalidArgument"),
        (headers(b"short"), 400, "InvalidArgument"),
        (headers(KEY + b"x"), 400, "InvalidArgument"),
        (headers(key="no base64!"), 400, "InvalidArgument"),
        (headers(key=""), 400, "InvalidArgument"),
    ],
)
def test_a_read_without_the_right_key_is_refused(raw, secret, method, sent, status, code):
    answer = raw(method, secret, headers=sent)
    assert answer.status == status
    if method == "GET":
        assert answer.code == code
    assert not {"etag", "last-modified"} & answer.headers.keys()
    assert WORDS not in answer.body


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (headers(algorithm="aes256"), "InvalidEncryptionAlgorithmError"),
        (headers(algorithm=None), "InvalidArgument"),
        (headers(key=None), "InvalidArgument"),
        (headers(key_MD5=None), "InvalidArgument"),
        (headers(key_MD5=md5_of(OTHER)), "InvalidArgument"),
        (headers(b"short"), "InvalidArgument"),
        (headers(key="é"), "InvalidArgument"),
        (headers() | {"x-amz-server-side-encryption": "AES256"}, "InvalidArgument"),
        (headers() | {"x-amz-server-side-encryption": "aws:kms"}, "InvalidArgument"),
    ],
)
def test_a_write_with_half_a_key_changes_nothing(raw, bucket, unchanged, sent, code):
    with unchanged(bucket):
        assert raw("PUT", f"/{bucket}/k", "x", sent).outcome == (400, code)
        assert raw("POST", f"/{bucket}/k?uploads=", "", sent).outcome == (400, code)


def test_the_wrong_digest_is_told_before_the_wrong_length(raw, bucket):
    answer = raw("PUT", f"/{bucket}/k", "x", headers(b"short", key_MD5=md5_of(KEY)))
    assert "MD5" in answer.xml.findtext("Message")
    assert answer.xml.findtext("ArgumentName") == "x-amz-server-side-encryption"


def test_a_key_for_an_object_that_has_none_is_refused(s3, bucket, refused):
    for encryption in ({}, {"ServerSideEncryption": "AES256"}):
        s3.put_object(Bucket=bucket, Key="plain", Body=b"x", **encryption)
        refused("InvalidRequest", 400, s3.get_object, Bucket=bucket, Key="plain", **under(KEY))
        refused("400", 400, s3.head_object, Bucket=bucket, Key="plain", **under(KEY))


def test_a_missing_object_is_missing_whatever_the_key(s3, bucket, refused):
    refused("NoSuchKey", 404, s3.get_object, Bucket=bucket, Key="none", **under(KEY))


def test_the_key_comes_before_the_conditions(raw, secret):
    assert raw("GET", secret, headers={"If-None-Match": "*"}).outcome == (400, "InvalidRequest")
    assert raw("GET", secret, headers={"If-Match": '"x"'} | headers(OTHER)).outcome == (403, "AccessDenied")
    assert raw("GET", secret, headers={"If-None-Match": "*"} | headers()).status == 304


# --- copies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 300_000])
def test_copies_change_the_key_add_one_or_drop_it(s3, bucket, refused, size):
    data = data_of(size)
    s3.put_object(Bucket=bucket, Key="plain", Body=data)
    s3.put_object(Bucket=bucket, Key="secret", Body=data, **under(KEY))
    target = {"Bucket": bucket, "Key": "copy"}
    of_secret = {"CopySource": f"{bucket}/secret", **source_under(KEY)}

    copied = s3.copy_object(**target, CopySource=f"{bucket}/plain", **under(KEY))
    assert confirms(copied)
    assert s3.get_object(**target, **under(KEY))["Body"].read() == data
    assert copied["CopyObjectResult"]["ETag"] != f'"{hashlib.md5(data).hexdigest()}"'

    copied = s3.copy_object(**target, **of_secret, **under(OTHER))
    assert confirms(copied, OTHER)
    assert s3.get_object(**target, **under(OTHER))["Body"].read() == data
    refused("AccessDenied", 403, s3.get_object, **target, **under(KEY))

    assert confirms(s3.copy_object(**target, **of_secret, **under(KEY)))
    assert s3.get_object(**target, **under(KEY))["Body"].read() == data

    copied = s3.copy_object(**target, **of_secret, ServerSideEncryption="AES256")
    assert copied["ServerSideEncryption"] == "AES256"
    assert s3.get_object(**target)["Body"].read() == data

    copied = s3.copy_object(**target, **of_secret)
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    found = s3.get_object(**target)
    assert (found["Body"].read(), "SSECustomerAlgorithm" in found) == (data, False)


def test_a_key_is_changed_in_place(s3, bucket, secret):
    here = {"Bucket": bucket, "Key": "secret"}
    s3.copy_object(**here, CopySource=secret[1:], **source_under(KEY), **under(OTHER))
    assert s3.get_object(**here, **under(OTHER))["Body"].read() == WORDS


def test_a_key_is_dropped_in_place(s3, bucket, secret):
    here = {"Bucket": bucket, "Key": "secret"}
    s3.copy_object(**here, CopySource=secret[1:], **source_under(KEY))
    assert s3.get_object(**here)["Body"].read() == WORDS


def test_a_copy_needs_the_key_of_its_source(s3, raw, bucket, secret, unchanged):
    source = {"x-amz-copy-source": secret}
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    with unchanged(bucket):
        for sent, outcome in (
            ({}, (400, "InvalidRequest")),
            (headers(KEY), (400, "InvalidRequest")),
            (headers(OTHER, SOURCE), (403, "AccessDenied")),
            (headers(KEY, SOURCE, algorithm="AES128"), (400, "InvalidEncryptionAlgorithmError")),
            (headers(KEY, SOURCE, key_MD5=md5_of(OTHER)), (400, "InvalidArgument")),
            (headers(KEY, SOURCE) | {"x-amz-copy-source": f"/{bucket}/plain"}, (400, "InvalidRequest")),
        ):
            assert raw("PUT", f"/{bucket}/copy", "", source | sent).outcome == outcome


# --- uploads in parts -----------------------------------------------------------------------------------------------


def test_an_upload_in_parts_has_one_key(s3, server, bucket):
    parts = [data_of(PART_BYTES), WORDS]
    begun, answers, done = upload_parts(s3, bucket, "k", parts, under(KEY), under(KEY))
    assert all(confirms(answer) for answer in (begun, *answers))
    assert "SSECustomerAlgorithm" not in done
    assert answers[1]["ETag"] != f'"{hashlib.md5(WORDS).hexdigest()}"'
    tags = b"".join(bytes.fromhex(answer["ETag"].strip('"')) for answer in answers)
    assert done["ETag"] == f'"{hashlib.md5(tags).hexdigest()}-2"'
    found = s3.get_object(Bucket=bucket, Key="k", **under(KEY))
    assert (found["Body"].read(), confirms(found)) == (b"".join(parts), True)
    edge = f"bytes={PART_BYTES - 5}-{PART_BYTES + 4}"
    found = s3.get_object(Bucket=bucket, Key="k", Range=edge, **under(KEY))
    assert found["Body"].read() == b"".join(parts)[PART_BYTES - 5 : PART_BYTES + 5]
    found = s3.get_object(Bucket=bucket, Key="k", PartNumber=2, **under(KEY))
    assert (found["Body"].read(), found["PartsCount"]) == (WORDS, 2)
    stored = bytes_of(server, bucket)
    assert len(stored) > PART_BYTES
    assert WORDS not in stored


def test_each_part_needs_the_key_of_its_upload(s3, raw, bucket, unchanged):
    secret = s3.create_multipart_upload(Bucket=bucket, Key="k", **under(KEY))["UploadId"]
    plain = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.put_object(Bucket=bucket, Key="source", Body=WORDS)
    source = {"x-amz-copy-source": f"/{bucket}/source"}
    with unchanged(bucket):
        for upload, sent, says in (
            (secret, {}, "initiate requested encryption"),
            (secret, headers(OTHER), "did not match"),
            (plain, headers(KEY), "initiate requested encryption"),
        ):
            path = f"/{bucket}/k?partNumber=1&uploadId={upload}"
            for body, own in (("x", {}), ("", source)):
                answer = raw("PUT", path, body, sent | own)
                assert answer.outcome == (400, "InvalidRequest")
                assert says in answer.xml.findtext("Message")


def test_listing_and_completing_take_the_key_or_none(s3, raw, bucket):
    arguments = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**arguments, **under(KEY))["UploadId"]
    part = s3.upload_part(**arguments, UploadId=upload, PartNumber=1, Body=WORDS, **under(KEY))
    for given in ({}, spelled(KEY)):
        assert s3.list_parts(**arguments, UploadId=upload, **given)["Parts"][0]["Size"] == len(WORDS)
    assert raw("GET", f"/{bucket}/k?uploadId={upload}", headers=headers(OTHER)).outcome == (400, "InvalidRequest")
    done = f"<Part><PartNumber>1</PartNumber><ETag>{part['ETag']}</ETag></Part>"
    done = f"<CompleteMultipartUpload>{done}</CompleteMultipartUpload>"
    path = f"/{bucket}/k?uploadId={upload}"
    assert raw("POST", path, done, headers(OTHER)).outcome == (400, "InvalidRequest")
    assert [raw("POST", path, done, headers()).status for _ in range(2)] == [200, 200]


def test_parts_are_copied_from_one_key_to_another(s3, bucket):
    data = data_of(PART_BYTES + 100)
    s3.put_object(Bucket=bucket, Key="source", Body=data, **under(OTHER))
    arguments = {"Bucket": bucket, "Key": "k"}
    arguments["UploadId"] = s3.create_multipart_upload(**arguments, **under(KEY))["UploadId"]
    done = []
    for number, span in enumerate((f"0-{PART_BYTES - 1}", f"{PART_BYTES}-{PART_BYTES + 99}"), 1):
        copied = s3.upload_part_copy(
            **arguments,
            PartNumber=number,
            CopySource=f"{bucket}/source",
            CopySourceRange=f"bytes={span}",
            **source_under(OTHER),
            **under(KEY),
        )
        assert confirms(copied)
        done.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(**arguments, MultipartUpload={"Parts": done})
    assert s3.get_object(Bucket=bucket, Key="k", **under(KEY))["Body"].read() == data


def test_an_object_in_parts_is_copied_to_another_key_and_to_none(s3, bucket):
    parts = [data_of(PART_BYTES), WORDS]
    upload_parts(s3, bucket, "k", parts, under(KEY), under(KEY))
    for name, arguments in (("same", under(KEY)), ("other", under(OTHER)), ("none", {})):
        s3.copy_object(Bucket=bucket, Key=name, CopySource=f"{bucket}/k", **source_under(KEY), **arguments)
        assert s3.get_object(Bucket=bucket, Key=name, **arguments)["Body"].read() == b"".join(parts)


# --- forms ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def send_form(s3, bucket, server):
    """A function that sends a form with the headers of a key; what is given is other than its policy says."""

    def send(**changed):
        fields = headers()
        conditions = [{name: value} for name, value in fields.items()]
        post = s3.generate_presigned_post(bucket, "k", Fields=dict(fields), Conditions=conditions)
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in (post["fields"] | headers(**changed)).items()
        ]
        file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
        body = b"".join([*parts, file, WORDS, f"\r\n--{boundary}--\r\n".encode()])
        where = urlsplit(server.endpoint)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
        connection.request("POST", f"/{bucket}", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        answer = connection.getresponse()
        try:
            return answer.status, answer.getheader(f"{PREFIX}key-MD5"), answer.read()
        finally:
            connection.close()

    return send


def test_a_form_with_another_key_than_its_policy_says_is_refused_and_shows_none(send_form):
    status, _, body = send_form(secret=OTHER)
    assert status == 403
    assert b"customer-key" in body
    assert not any(base64.b64encode(key) in body for key in (KEY, OTHER))


def test_a_form_may_have_a_key(s3, bucket, send_form):
    assert send_form()[:2] == (204, md5_of(KEY))
    assert s3.get_object(Bucket=bucket, Key="k", **under(KEY))["Body"].read() == WORDS


# --- the bucket's say -----------------------------------------------------------------------------------------------


def test_a_bucket_may_refuse_keys_of_clients(s3, raw, bucket, unchanged):
    s3.put_object(Bucket=bucket, Key="secret", Body=WORDS, **under(KEY))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **under(KEY))["UploadId"]
    rule = {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    source = {"x-amz-copy-source": f"/{bucket}/secret"} | headers(KEY, SOURCE)
    with unchanged(bucket):
        for method, path, body, sent in (
            ("PUT", f"/{bucket}/k", "x", {}),
            ("PUT", f"/{bucket}/k", "", source),
            ("POST", f"/{bucket}/k?uploads=", "", {}),
            ("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", "x", {}),
            ("PUT", f"/{bucket}/k?partNumber=1&uploadId={upload}", "", source),
        ):
            answer = raw(method, path, body, sent | headers())
            assert answer.outcome == (403, "AccessDenied")
            assert "SSE-C" in answer.xml.findtext("Message")
    s3.put_object(Bucket=bucket, Key="k", Body=b"plain")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/secret", **source_under(KEY))
    assert s3.get_object(Bucket=bucket, Key="secret", **under(KEY))["Body"].read() == WORDS
    rule = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **under(KEY))


# --- where the key must not be ----------------------------------------------------------------------------------------


def test_a_key_is_in_no_error_no_log_and_no_file(s3, server, raw, presign, new_bucket, bucket):
    key = uuid.uuid4().bytes + uuid.uuid4().bytes
    logged = new_bucket()
    policy = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{logged}/*",
    }
    s3.put_bucket_policy(Bucket=logged, Policy=json.dumps({"Statement": [policy]}))
    enabled = {"TargetBucket": logged, "TargetPrefix": ""}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
    sent = headers(key)
    written = sent[f"{PREFIX}key"]
    query = urlencode(sent, quote_via=quote)
    url = presign("GET", f"/{bucket}/k?{query}")
    answers = [
        raw("PUT", f"/{bucket}/k", WORDS, sent),
        raw("GET", f"/{bucket}/k", headers=sent),
        raw("GET", url, keys=None),
        raw("GET", url.replace("Expires=60", "Expires=61"), keys=None),
        raw("GET", url.replace("customer-key=", "customer%2Dkey=").replace("Expires=60", "Expires=62"), keys=None),
        raw("GET", f"/{bucket}/k", headers=sent, signed_path="/other"),
        raw("GET", f"/{bucket}/none", headers=sent | {"Referer": f"http://a/?{query}"}),
        raw("PUT", f"/{bucket}/k", WORDS, headers(key, SOURCE)),
        raw("PUT", f"/{bucket}/k", WORDS, sent | {f"{PREFIX}algorithm": "x"}),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 403, 403, 403, 404, 400, 400]
    forms = [form.encode() for form in (written, quote(written), quote(written, safe=""), written.encode().hex(" "))]
    forms += [key, key.hex().encode()]
    told = [answer.body + str(answer.headers).encode() for answer in answers]
    told += [server.log.read_bytes(), *(path.read_bytes() for path in server.data.rglob("*") if path.is_file())]
    lines = []
    while len(lines) < len(answers):
        found = [it["Key"] for it in s3.list_objects_v2(Bucket=logged).get("Contents", ())]
        bodies = [s3.get_object(Bucket=logged, Key=name)["Body"].read() for name in found]
        lines = [line for body in bodies for line in body.splitlines() if b"/k" in line or b"/none" in line]
    told += lines
    for text in told:
        assert not any(form in text for form in forms)
