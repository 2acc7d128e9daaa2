"""SelectObjectContent as clients make it: formats, events, rights, keys, archives, and how queries end."""

import bz2
import gzip
import io
import json
import os
from contextlib import closing

import pytest
from botocore.exceptions import ClientError, EventStreamError

from tests.api.conftest import ROOT, _client

PEOPLE = b"id,name,age\n1,Ann,30\n2,Bob,4\n3,Cy,x\n"
CSV = {"CSV": {"FileHeaderInfo": "USE"}}
REQUEST = (
    "<SelectObjectContentRequest><Expression>{}</Expression><ExpressionType>SQL</ExpressionType>"
    "<InputSerialization>{}</InputSerialization><OutputSerialization>{}</OutputSerialization>{}"
    "</SelectObjectContentRequest>"
)


@pytest.fixture
def people(s3, bucket):
    """A bucket with an object of CSV under the key ``k``."""
    s3.put_object(Bucket=bucket, Key="k", Body=PEOPLE)
    return bucket


def events(client, bucket, expression, key="k", given=None, out=None, **more):
    """Make a query; return its events."""
    answer = client.select_object_content(
        Bucket=bucket,
        Key=key,
        Expression=expression,
        ExpressionType="SQL",
        InputSerialization=given or CSV,
        OutputSerialization=out or {"CSV": {}},
        **more,
    )
    with closing(answer["Payload"]) as stream:
        return list(stream)


def records(client, bucket, expression, **more):
    """Make a query; return its records. It has its end."""
    found = events(client, bucket, expression, **more)
    assert "End" in found[-1]
    assert "Stats" in found[-2]
    return b"".join(event["Records"]["Payload"] for event in found if "Records" in event).decode()


def test_the_records_that_a_query_finds_come_with_counts_and_an_end(s3, people):
    found = events(s3, people, "SELECT s.name FROM S3Object s WHERE s.age > 10")
    kinds = [next(iter(event)) for event in found]
    assert kinds == ["Records", "Stats", "End"]
    assert found[0]["Records"]["Payload"] == b"Ann\n"
    assert found[1]["Stats"]["Details"] == {
        "BytesScanned": len(PEOPLE),
        "BytesProcessed": len(PEOPLE),
        "BytesReturned": 4,
    }


def test_progress_is_reported_where_it_is_asked_for(s3, people):
    found = events(s3, people, "SELECT * FROM S3Object", RequestProgress={"Enabled": True})
    progress = [event["Progress"]["Details"] for event in found if "Progress" in event]
    assert progress[-1]["BytesReturned"] == sum(len(e["Records"]["Payload"]) for e in found if "Records" in e)


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ({"CSV": {}}, '1,"a,b"\n'),
        ({"CSV": {"QuoteFields": "ALWAYS"}}, '"1","a,b"\n'),
        ({"CSV": {"FieldDelimiter": ";", "RecordDelimiter": "|\n"}}, "1;a,b|\n"),
        ({"CSV": {"QuoteCharacter": "'"}}, "1,'a,b'\n"),
        ({"JSON": {}}, '{"id":"1","name":"a,b"}\n'),
        ({"JSON": {"RecordDelimiter": ","}}, '{"id":"1","name":"a,b"},'),
    ],
    ids=["csv", "quoted", "delimiters", "quote", "json", "comma"],
)
def test_records_are_written_as_the_client_wants_them(s3, bucket, out, expected):
    s3.put_object(Bucket=bucket, Key="k", Body=b'id,name\n1,"a,b"\n')
    assert records(s3, bucket, "SELECT * FROM S3Object", out=out) == expected


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [
        ({}, b"a,b\n1,2\n", "a,b\n1,2\n"),
        ({"FileHeaderInfo": "IGNORE"}, b"a,b\n1,2\n", "1,2\n"),
        ({"FileHeaderInfo": "USE"}, b"\xef\xbb\xbfa,b\n1,2", "1,2\n"),
        ({"FieldDelimiter": "\t"}, b"a\tb\n", "a,b\n"),
        ({"FieldDelimiter": "\u00a6"}, "a\u00a6b\n".encode(), "a,b\n"),
        ({"RecordDelimiter": ";"}, b"a,b;c\n,d;", 'a,b\n"c\n",d\n'),
        ({}, b"a,b\r\nc,d\r\n", "a,b\nc,d\n"),
        ({"QuoteCharacter": "'"}, b"'a,b',c\n", '"a,b",c\n'),
        ({"QuoteEscapeCharacter": "\\"}, b'"a\\"b",c\n', '"a""b",c\n'),
        ({"Comments": "%"}, b"%no\na,b%\n%no\n#c,d\n", "a,b%\n#c,d\n"),
        ({}, b"#no\na,b#c\n", "a,b#c\n"),
        ({"AllowQuotedRecordDelimiter": True}, b'"a\nb",c\n', '"a\nb",c\n'),
        ({}, b"a,b,c\nd\n\ne,f\n", "a,b,c\nd\ne,f\n"),
        ({}, b"", ""),
    ],
)
def test_csv_is_read_as_the_client_says_that_it_is_written(s3, bucket, form, data, expected):
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    assert records(s3, bucket, "SELECT * FROM S3Object", given={"CSV": form}) == expected


@pytest.mark.parametrize(
    ("given", "out", "expected"),
    [
        ({"CSV": {"FileHeaderInfo": "Use"}, "CompressionType": "None"}, {"CSV": {"QuoteFields": "Always"}}, '"1"\n'),
        ({"CSV": {"FileHeaderInfo": "ignore"}}, {"CSV": {"QuoteFields": "AsNeeded"}}, "1\n"),
        ({"CSV": {"FileHeaderInfo": "None"}}, {"CSV": {}}, "a\n1\n"),
        ({"JSON": {"Type": "Lines"}, "CompressionType": "Gzip"}, {"JSON": {}}, '{"a":1}\n'),
        ({"JSON": {"Type": "Document"}, "CompressionType": "bzip2"}, {"JSON": {}}, '{"a":1}\n'),
    ],
)
def test_the_words_of_a_format_are_taken_in_any_case(s3, bucket, given, out, expected):
    """AWS's own examples have ``Use`` and ``Lines``, and minio-js sends them so."""
    pack = {"Gzip": gzip.compress, "bzip2": bz2.compress}.get(given.get("CompressionType"), bytes)
    s3.put_object(Bucket=bucket, Key="k", Body=pack(b"a\n1\n" if "CSV" in given else b'{"a": 1}'))
    assert records(s3, bucket, "SELECT * FROM S3Object", given=given, out=out) == expected


@pytest.mark.parametrize(
    ("form", "data", "code"),
    [
        ({"CSV": {}}, b'"a\nb",c\n', "CSVEscapingRecordDelimiter"),
        ({"CSV": {}}, (b"a," + b"b" * 999 + b"\n") * 5000 + b"c" + b",c" * 20 + b"\n", "CSVParsingError"),
        ({"CSV": {}}, b"a,b\nc" + b",c" * 256 + b"\n", "CSVParsingError"),
        ({"CSV": {}}, b"a,\xff\n", "InvalidTextEncoding"),
        ({"CSV": {}}, b"a\n" + b"b" * 1_100_000 + b"\n", "OverMaxRecordSize"),
        ({"CSV": {}}, b"b" * 3_000_000, "OverMaxRecordSize"),
        ({"JSON": {"Type": "LINES"}}, b'{"a": nul}\n', "JSONParsingError"),
        ({"JSON": {"Type": "LINES"}}, b'{"a": "' + b"b" * 1_100_000 + b'"}\n', "OverMaxRecordSize"),
        ({"JSON": {"Type": "DOCUMENT"}}, b'{"a": [1, 2', "JSONParsingError"),
        ({"Parquet": {}}, b"PAR1 this is none PAR1", "ParquetParsingError"),
        ({"Parquet": {}}, b"", "ParquetParsingError"),
        ({"CSV": {}, "CompressionType": "GZIP"}, b"a,b\n", "InvalidCompressionFormat"),
        ({"CSV": {}, "CompressionType": "BZIP2"}, b"a,b\n", "InvalidCompressionFormat"),
        ({"CSV": {}, "CompressionType": "GZIP"}, gzip.compress(os.urandom(5000).hex().encode())[:-9], "TruncatedInput"),
        ({"CSV": {}, "CompressionType": "BZIP2"}, bz2.compress(b"a,b\n" * 99)[:-9], "TruncatedInput"),
    ],
)
def test_an_object_that_is_not_what_it_should_be_is_an_error(s3, bucket, form, data, code):
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    with pytest.raises(ClientError) as caught:  # the answer, or the end of the stream that it has begun
        events(s3, bucket, "SELECT * FROM S3Object", given=form)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(("name", "pack"), [("GZIP", gzip.compress), ("BZIP2", bz2.compress)])
def test_packed_objects_are_unpacked(s3, bucket, name, pack):
    data = b"".join(b"%d,row\n" % number for number in range(100_000))
    packed = pack(data[:300_000]) + pack(data[300_000:])  # two streams in a row are one
    s3.put_object(Bucket=bucket, Key="k", Body=packed)
    found = events(s3, bucket, "SELECT COUNT(*) FROM S3Object", given={"CSV": {}, "CompressionType": name})
    assert found[0]["Records"]["Payload"] == b"100000\n"
    counts = found[-2]["Stats"]["Details"]
    assert (counts["BytesScanned"], counts["BytesProcessed"]) == (len(packed), len(data))


def test_json_of_lines_and_of_a_document_is_read(s3, bucket):
    rows = [{"a": number, "b": {"c": [number]}} for number in range(3)]
    s3.put_object(Bucket=bucket, Key="lines", Body="\n".join(map(json.dumps, rows)))
    s3.put_object(Bucket=bucket, Key="document", Body=json.dumps({"rows": rows}, indent=2))
    expected = '{"a":1,"b":{"c":[1]}}\n'
    lines = {"given": {"JSON": {"Type": "LINES"}}, "out": {"JSON": {}}, "key": "lines"}
    assert records(s3, bucket, "SELECT * FROM S3Object s WHERE s.b.c[0] = 1", **lines) == expected
    document = {"given": {"JSON": {"Type": "DOCUMENT"}}, "out": {"JSON": {}}, "key": "document"}
    assert records(s3, bucket, "SELECT * FROM S3Object[*].rows[*] s WHERE s.a = 1", **document) == expected


def test_parquet_is_read_with_its_types_and_only_where_it_is_needed(s3, bucket):
    import pyarrow
    from pyarrow.parquet import write_table

    columns = {
        "id": pyarrow.array(range(200_000), pyarrow.int64()),
        "noise": [os.urandom(8).hex() for _ in range(200_000)],
        "tags": [{"k": [1, 2]}] * 200_000,
        "price": pyarrow.array([1.5] * 200_000),
    }
    sink = io.BytesIO()
    write_table(pyarrow.table(columns), sink, compression="snappy")
    s3.put_object(Bucket=bucket, Key="k", Body=sink.getvalue())
    found = events(s3, bucket, "SELECT COUNT(*), MAX(s.id) FROM S3Object s WHERE s.id >= 199990", given={"Parquet": {}})
    assert found[0]["Records"]["Payload"] == b"10,199999\n"
    assert found[-2]["Stats"]["Details"]["BytesScanned"] < len(sink.getvalue()) / 2
    one = records(
        s3,
        bucket,
        "SELECT s.id, s.tags, s.tags.k[1], s.price FROM S3Object s LIMIT 1",
        given={"Parquet": {}},
        out={"JSON": {}},
    )
    assert one == '{"id":0,"tags":{"k":[1,2]},"_3":2,"price":1.5}\n'


def test_each_record_is_in_one_of_the_ranges_that_follow_each_other(s3, bucket):
    lines = [f"{number},{'x' * (number % 7)}" for number in range(500)]
    data = "".join(f"{line}\n" for line in lines).encode()
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    for step in (97, 1000, len(data)):
        found = ""
        for start in range(0, len(data), step):
            scan = {"Start": start, "End": start + step - 1}
            found += (
                records(s3, bucket, "SELECT * FROM S3Object", given={"CSV": {}}, ScanRange=scan)
                if start < 400 or start + 2 * step > len(data)
                else "".join(line + "\n" for line, at in starts(lines) if start <= at < start + step)
            )
        assert found == data.decode()


def starts(lines):
    """Yield each line with where it starts."""
    at = 0
    for line in lines:
        yield line, at
        at += len(line) + 1


def test_a_range_has_the_records_that_begin_in_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"a,b\n1,2\n3,4\n5,6\n")
    for scan, expected in [
        ({"Start": 4, "End": 4}, "1,2\n"),
        ({"Start": 5, "End": 7}, ""),
        ({"Start": 5, "End": 8}, "3,4\n"),
        ({"Start": 8}, "3,4\n5,6\n"),
        ({"End": 4}, "5,6\n"),
        ({"Start": 0, "End": 999}, "a,b\n1,2\n3,4\n5,6\n"),
    ]:
        assert records(s3, bucket, "SELECT * FROM S3Object", given={"CSV": {}}, ScanRange=scan) == expected, scan
    named = records(s3, bucket, "SELECT s.b FROM S3Object s", given=CSV, ScanRange={"Start": 8, "End": 8})
    assert named == "4\n"
    s3.put_object(Bucket=bucket, Key="k", Body=b'{"a": 1}\n{"a": 2}\n')
    lines = {"JSON": {"Type": "LINES"}}
    assert records(s3, bucket, "SELECT s.a FROM S3Object s", given=lines, ScanRange={"Start": 1}) == "2\n"


def test_a_range_of_parquet_has_the_groups_of_rows_that_begin_in_it(s3, bucket):
    import pyarrow
    from pyarrow.parquet import ParquetFile, write_table

    sink = io.BytesIO()
    table = pyarrow.table({"id": pyarrow.array(range(5000), pyarrow.int64()), "b": ["text"] * 5000})
    write_table(table, sink, row_group_size=1000)
    s3.put_object(Bucket=bucket, Key="k", Body=sink.getvalue())
    columns = [ParquetFile(sink).metadata.row_group(number).column(0) for number in range(5)]
    begins = [column.dictionary_page_offset or column.data_page_offset for column in columns]

    def ids(**scan):
        query = "SELECT COUNT(*), MIN(s.id), MAX(s.id) FROM S3Object s"
        return records(s3, bucket, query, given={"Parquet": {}}, ScanRange=scan)

    assert ids(Start=0, End=begins[0]) == "1000,0,999\n"
    assert ids(Start=begins[0] + 1, End=begins[2]) == "2000,1000,2999\n"
    assert ids(Start=begins[4]) == "1000,4000,4999\n"
    assert ids(Start=begins[4] + 1) == "0,,\n"


@pytest.mark.parametrize(
    ("given", "scan", "code"),
    [
        (CSV, {"Start": 9, "End": 8}, "InvalidScanRange"),
        (CSV, {"Start": 10_000}, "InvalidScanRange"),
        (CSV, {}, "InvalidScanRange"),
        ({"CSV": {}, "CompressionType": "GZIP"}, {"Start": 0}, "UnsupportedScanRangeInput"),
        ({"JSON": {"Type": "DOCUMENT"}}, {"Start": 0}, "UnsupportedScanRangeInput"),
        ({"CSV": {"AllowQuotedRecordDelimiter": True}}, {"Start": 0}, "UnsupportedScanRangeInput"),
    ],
)
def test_a_range_that_cannot_be_is_refused(s3, people, refused, given, scan, code):
    ask = {"client": s3, "bucket": people, "expression": "SELECT * FROM S3Object", "given": given}
    refused(code, 400, events, **ask, ScanRange=scan)


@pytest.mark.parametrize(
    ("given", "out", "code"),
    [
        ("", "<CSV/>", "InvalidDataSource"),
        ("<CSV/><JSON><Type>LINES</Type></JSON>", "<CSV/>", "ObjectSerializationConflict"),
        ("<CSV/>", "<CSV/><JSON/>", "ObjectSerializationConflict"),
        ("<CSV/>", "", "MissingRequiredParameter"),
        ("<JSON/>", "<CSV/>", "InvalidJsonType"),
        ("<JSON><Type>XML</Type></JSON>", "<CSV/>", "InvalidJsonType"),
        ("<CSV><FileHeaderInfo>SOME</FileHeaderInfo></CSV>", "<CSV/>", "InvalidFileHeaderInfo"),
        ("<CSV/>", "<CSV><QuoteFields>SOME</QuoteFields></CSV>", "InvalidQuoteFields"),
        ("<CSV/><CompressionType>ZSTD</CompressionType>", "<CSV/>", "InvalidCompressionFormat"),
        ("<Parquet/><CompressionType>GZIP</CompressionType>", "<CSV/>", "InvalidCompressionFormat"),
        ("<CSV><FieldDelimiter>ab</FieldDelimiter></CSV>", "<CSV/>", "InvalidRequestParameter"),
        ("<CSV><FieldDelimiter>&#10;</FieldDelimiter></CSV>", "<CSV/>", "InvalidRequestParameter"),
        ("<CSV><RecordDelimiter>abc</RecordDelimiter></CSV>", "<CSV/>", "InvalidRequestParameter"),
        ("<CSV><RecordDelimiter>,</RecordDelimiter></CSV>", "<CSV/>", "InvalidRequestParameter"),
        ("<CSV><QuoteCharacter>,</QuoteCharacter></CSV>", "<CSV/>", "InvalidRequestParameter"),
        ("<CSV><Comments>ab</Comments></CSV>", "<CSV/>", "InvalidRequestParameter"),
        ("<CSV/><Other/>", "<CSV/>", "MalformedXML"),
    ],
)
def test_a_request_that_does_not_fit_together_is_refused(raw, people, given, out, code):
    answer = raw("POST", f"/{people}/k?select=&select-type=2", REQUEST.format("SELECT * FROM S3Object", given, out, ""))
    assert answer.outcome == (400, code)


def test_what_a_query_lacks_is_refused(raw, s3, people, refused):
    path = f"/{people}/k?select=&select-type=2"
    assert raw("POST", path, "<SelectObjectContentRequest/>").outcome == (400, "MissingRequiredParameter")
    body = REQUEST.format("SELECT * FROM S3Object", "<CSV/>", "<CSV/>", "").replace(">SQL<", ">XQuery<")
    assert raw("POST", path, body).outcome == (400, "InvalidExpressionType")
    refused("NoSuchKey", 404, events, client=s3, bucket=people, expression="SELECT * FROM S3Object", key="none")
    refused("ParseSelectMissingFrom", 400, events, client=s3, bucket=people, expression="SELECT 1")
    refused("ParseSelectMissingFrom", 400, events, client=s3, bucket=people, expression="SELECT '" + "x" * 9999 + "'")
    refused("MissingHeaders", 400, events, client=s3, bucket=people, expression="SELECT nope FROM S3Object")


def test_an_error_after_the_first_records_ends_the_stream_as_an_error(s3, bucket):
    rows = b"".join(b"%d,%s\n" % (number, b"x" * 90) for number in range(100_000))
    s3.put_object(Bucket=bucket, Key="k", Body=rows + b"not a number,y\n")
    answer = s3.select_object_content(
        Bucket=bucket,
        Key="k",
        Expression="SELECT CAST(s._1 AS INT), s._2 FROM S3Object s",
        ExpressionType="SQL",
        InputSerialization={"CSV": {}},
        OutputSerialization={"CSV": {}},
    )
    got = 0
    with closing(answer["Payload"]) as stream, pytest.raises(EventStreamError) as caught:
        for event in stream:
            got += len(event.get("Records", {"Payload": b""})["Payload"])  # on a busy machine some only keep alive
    assert got > 100_000
    assert caught.value.response["Error"]["Code"] == "CastFailed"


def test_those_who_may_read_an_object_may_query_it(s3, other, people, raw, refused):
    ask = {"bucket": people, "expression": "SELECT COUNT(*) FROM S3Object"}
    refused("AccessDenied", 403, events, client=other, **ask)
    body = REQUEST.format("SELECT * FROM S3Object", "<CSV/>", "<CSV/>", "")
    path = f"/{people}/k?select=&select-type=2"
    assert raw("POST", path, body, keys=None).outcome == (403, "AccessDenied")
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{people}/*"}
    s3.put_bucket_policy(Bucket=people, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    assert records(other, **ask) == "3\n"
    assert raw("POST", path, body, keys=None).outcome == (403, "AccessDenied")  # S3 has no anonymous queries
    refused("AccessDenied", 403, events, client=s3, **ask, ExpectedBucketOwner="999999999999")


def test_no_right_on_another_version_lets_query_the_current_one(s3, versioned, raw):
    old = s3.put_object(Bucket=versioned, Key="k", Body=PEOPLE, Tagging="public=yes")["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=PEOPLE)
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:*Object*", "Resource": f"arn:aws:s3:::{versioned}/*"}
    policy["Condition"] = {"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}
    s3.put_bucket_policy(Bucket=versioned, Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    body = REQUEST.format("SELECT * FROM S3Object", "<CSV/>", "<CSV/>", "")
    path = f"/{versioned}/k?select=&select-type=2&versionId={old}"
    assert raw("POST", path, body).outcome == (400, "InvalidArgument")


def test_encrypted_objects_are_read_with_their_keys(s3, bucket, refused):
    key = os.urandom(32)
    mine = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}
    s3.put_object(Bucket=bucket, Key="mine", Body=PEOPLE, **mine)
    for name, kind in (("s3", "AES256"), ("kms", "aws:kms")):
        s3.put_object(Bucket=bucket, Key=name, Body=PEOPLE, ServerSideEncryption=kind)
        assert records(s3, bucket, "SELECT COUNT(*) FROM S3Object", key=name) == "3\n"
    assert records(s3, bucket, "SELECT COUNT(*) FROM S3Object", key="mine", **mine) == "3\n"
    ask = {"client": s3, "bucket": bucket, "expression": "SELECT COUNT(*) FROM S3Object", "key": "mine"}
    refused("InvalidRequest", 400, events, **ask)
    refused("AccessDenied", 403, events, **ask, SSECustomerAlgorithm="AES256", SSECustomerKey=os.urandom(32))


def test_what_is_archived_is_queried_when_it_is_restored(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=PEOPLE, StorageClass="GLACIER")
    ask = {"bucket": bucket, "expression": "SELECT COUNT(*) FROM S3Object"}
    refused("InvalidObjectState", 403, events, client=s3, **ask)
    s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 1})
    assert records(s3, **ask) == "3\n"


def test_objects_of_parts_and_of_versions_are_read(s3, versioned):
    where = {"Bucket": versioned, "Key": "k"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    pieces = [b"id,name\n" + b"1,x\n" * 1_400_000, b"2,y\n" * 3]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(pieces, 1)
    ]
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    assert records(s3, versioned, "SELECT COUNT(*) FROM S3Object WHERE id = 2") == "3\n"
    s3.put_object(**where, Body=PEOPLE)
    assert records(s3, versioned, "SELECT COUNT(*) FROM S3Object") == "3\n"
    assert records(s3, versioned, "SELECT * FROM S3Object LIMIT 1") == "1,Ann,30\n"


def test_a_server_without_the_extra_says_which_one_it_lacks(start_server, tmp_path, refused):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['duckdb'] = None\n")
    server = start_server(tmp_path / "data", PYTHONPATH=str(tmp_path))
    client = _client(server.endpoint, ROOT)
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="k", Body=PEOPLE)
    answer = refused("NotImplemented", 501, events, client=client, bucket="bucket", expression="SELECT * FROM S3Object")
    assert "s3ish[select]" in answer["Error"]["Message"]


def test_settings_bound_a_query(start_server, tmp_path):
    server = start_server(tmp_path / "data", S3ISH_SELECT_SECONDS="0.1", S3ISH_SELECT_AT_ONCE="1")
    client = _client(server.endpoint, ROOT)
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="k", Body=PEOPLE)
    with pytest.raises(ClientError) as caught:
        events(client, "bucket", "SELECT * FROM S3Object")
    assert caught.value.response["Error"]["Code"] == "ExternalEvalException"
    assert "0.1 seconds" in caught.value.response["Error"]["Message"]
