"""Configurations of metadata tables: kept and told, with the plain word that nothing makes the tables."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.conftest import ROOT, _client

KEY = "arn:aws:kms:us-east-1:000000000000:key/k"
ROLE = "arn:aws:iam::000000000000:role/r"
ENCRYPTED = {"SseAlgorithm": "aws:kms", "KmsKeyArn": KEY}
EXPIRES = {"Expiration": "ENABLED", "Days": 7}
STAYS = {"Expiration": "DISABLED"}
LEAST = {"JournalTableConfiguration": {"RecordExpiration": STAYS}}
ALL = {
    "JournalTableConfiguration": {"RecordExpiration": EXPIRES, "EncryptionConfiguration": ENCRYPTED},
    "InventoryTableConfiguration": {"ConfigurationState": "ENABLED", "EncryptionConfiguration": ENCRYPTED},
    "AnnotationTableConfiguration": {
        "ConfigurationState": "ENABLED",
        "EncryptionConfiguration": {"SseAlgorithm": "AES256"},
        "Role": ROLE,
    },
}
TABLE_BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/tables"
FIRST = {"S3TablesDestination": {"TableBucketArn": TABLE_BUCKET, "TableName": "t_1"}}
ERROR = {
    "ErrorCode": "DestinationTableNotFound",
    "ErrorMessage": "This server makes no tables: the configuration is kept, and has no effect.",
}
NOT_FOUND = ("MetadataConfigurationNotFound", 404)
CONFLICT = ("InvalidBucketState", 409)
NOT_ALLOWED = ("MethodNotAllowed", 405)


def failed(name):
    return {"TableStatus": "FAILED", "Error": ERROR, "TableName": name}


def create(s3, bucket, value=ALL):
    s3.create_bucket_metadata_configuration(Bucket=bucket, MetadataConfiguration=value)


def create_first(s3, bucket, value=FIRST):
    s3.create_bucket_metadata_table_configuration(Bucket=bucket, MetadataTableConfiguration=value)


def read(s3, bucket):
    answer = s3.get_bucket_metadata_configuration(Bucket=bucket)
    return answer["GetBucketMetadataConfigurationResult"]["MetadataConfigurationResult"]


def update(s3, bucket, name, value):
    call = getattr(s3, f"update_bucket_metadata_{name}_table_configuration")
    call(Bucket=bucket, **{f"{name.capitalize()}TableConfiguration": value})


def test_a_configuration_is_told_with_tables_that_could_not_be_made(s3, bucket):
    create(s3, bucket)
    enabled = {"ConfigurationState": "ENABLED"}
    assert read(s3, bucket) == {
        "DestinationResult": {
            "TableBucketType": "aws",
            "TableBucketArn": "arn:aws:s3tables:us-east-1:000000000000:bucket/aws-s3",
            "TableNamespace": f"b_{bucket}",
        },
        "JournalTableConfigurationResult": failed("journal") | {"RecordExpiration": EXPIRES},
        "InventoryTableConfigurationResult": failed("inventory") | enabled,
        "AnnotationTableConfigurationResult": failed("annotation") | enabled | {"Role": ROLE},
    }


def test_what_was_not_configured_is_not_told(s3, bucket):
    create(s3, bucket, LEAST)
    assert read(s3, bucket).keys() == {"DestinationResult", "JournalTableConfigurationResult"}


def test_a_configuration_of_the_first_version_is_told_by_both(s3, bucket):
    create_first(s3, bucket)
    answer = s3.get_bucket_metadata_table_configuration(Bucket=bucket)["GetBucketMetadataTableConfigurationResult"]
    place = {"TableArn": f"{TABLE_BUCKET}/table/t_1", "TableNamespace": "aws_s3_metadata"}
    assert answer == {
        "MetadataTableConfigurationResult": {"S3TablesDestinationResult": FIRST["S3TablesDestination"] | place},
        "Status": "FAILED",
        "Error": ERROR,
    }
    assert read(s3, bucket) == {
        "DestinationResult": {
            "TableBucketType": "customer",
            "TableBucketArn": TABLE_BUCKET,
            "TableNamespace": "aws_s3_metadata",
        },
        "JournalTableConfigurationResult": failed("t_1") | {"RecordExpiration": STAYS},
    }


def test_where_there_is_none_that_is_said(s3, refused, bucket):
    for method in ("get", "delete"):
        for version in ("", "_table"):
            call = getattr(s3, f"{method}_bucket_metadata{version}_configuration")
            assert refused(*NOT_FOUND, call, Bucket=bucket)["Error"]["BucketName"] == bucket
    create_first(s3, bucket)
    for name, value in (
        ("journal", {"RecordExpiration": STAYS}),
        ("inventory", {"ConfigurationState": "DISABLED"}),
        ("annotation", {"ConfigurationState": "DISABLED"}),
    ):
        refused(*NOT_FOUND, update, s3=s3, bucket=bucket, name=name, value=value)


@pytest.mark.parametrize("there", [create, create_first])
@pytest.mark.parametrize("second", [create, create_first])
def test_a_bucket_has_one_configuration(s3, refused, bucket, there, second):
    there(s3, bucket)
    before = read(s3, bucket)
    refused(*CONFLICT, second, s3=s3, bucket=bucket)
    assert read(s3, bucket) == before
    s3.delete_bucket_metadata_configuration(Bucket=bucket)
    refused(*NOT_FOUND, read, s3=s3, bucket=bucket)
    second(s3, bucket)


def test_of_many_that_create_one_at_once_one_succeeds(raw, bucket):
    bodies = [
        f"<MetadataConfiguration><JournalTableConfiguration><RecordExpiration><Expiration>ENABLED</Expiration>"
        f"<Days>{days}</Days></RecordExpiration></JournalTableConfiguration></MetadataConfiguration>"
        for days in range(7, 13)
    ]
    with ThreadPoolExecutor(len(bodies)) as threads:
        answers = list(threads.map(lambda body: raw("POST", f"/{bucket}?metadataConfiguration", body).status, bodies))
    assert sorted(answers) == [200, *[409] * 5]
    told = raw("GET", f"/{bucket}?metadataConfiguration").body
    assert f"<Days>{7 + answers.index(200)}</Days>".encode() in told


def test_the_first_version_has_no_word_on_the_second(s3, refused, bucket):
    create(s3, bucket)
    refused(*NOT_ALLOWED, s3.get_bucket_metadata_table_configuration, Bucket=bucket)
    refused(*NOT_ALLOWED, s3.delete_bucket_metadata_table_configuration, Bucket=bucket)
    assert "JournalTableConfigurationResult" in read(s3, bucket)


def test_the_first_version_removes_its_own(s3, refused, bucket):
    create_first(s3, bucket)
    answer = s3.delete_bucket_metadata_table_configuration(Bucket=bucket)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(*NOT_FOUND, read, s3=s3, bucket=bucket)


def test_an_update_changes_one_table(s3, bucket):
    create(s3, bucket)
    before = read(s3, bucket)
    for name, value, changed in (
        ("journal", {"RecordExpiration": STAYS}, failed("journal") | {"RecordExpiration": STAYS}),
        ("inventory", {"ConfigurationState": "DISABLED"}, {"ConfigurationState": "DISABLED"}),
        ("annotation", {"ConfigurationState": "DISABLED"}, {"ConfigurationState": "DISABLED"}),
    ):
        update(s3, bucket, name, value)
        before[f"{name.capitalize()}TableConfigurationResult"] = changed
        assert read(s3, bucket) == before


def journal(**changes):
    return LEAST | {"JournalTableConfiguration": {"RecordExpiration": STAYS} | changes}


def encrypted(algorithm, **key):
    return journal(EncryptionConfiguration={"SseAlgorithm": algorithm} | key)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("InvalidArgument", journal(RecordExpiration={"Expiration": "ENABLED", "Days": 6})),
        ("InvalidArgument", journal(RecordExpiration={"Expiration": "ENABLED", "Days": 2**31})),
        ("MalformedXML", journal(RecordExpiration={"Expiration": "enabled"})),
        ("InvalidArgument", encrypted("aws:kms")),
        ("InvalidArgument", encrypted("aws:kms", KmsKeyArn="k")),
        ("InvalidArgument", encrypted("AES256", KmsKeyArn=KEY)),
        ("MalformedXML", encrypted("ROT13")),
        ("MalformedXML", LEAST | {"InventoryTableConfiguration": {"ConfigurationState": "ON"}}),
        (
            "InvalidArgument",
            LEAST
            | {"InventoryTableConfiguration": {"ConfigurationState": "ENABLED"}}
            | {"AnnotationTableConfiguration": {"ConfigurationState": "ENABLED", "Role": "r"}},
        ),
    ],
)
def test_what_is_wrong_is_refused(s3, refused, bucket, code, value):
    refused(code, 400, create, s3=s3, bucket=bucket, value=value)
    refused(*NOT_FOUND, read, s3=s3, bucket=bucket)
    create(s3, bucket)
    before = read(s3, bucket)
    name = next(
        each for each in ("annotation", "inventory", "journal") if f"{each.capitalize()}TableConfiguration" in value
    )
    if "EncryptionConfiguration" not in value["JournalTableConfiguration"]:
        refused(
            code, 400, update, s3=s3, bucket=bucket, name=name, value=value[f"{name.capitalize()}TableConfiguration"]
        )
    assert read(s3, bucket) == before


@pytest.mark.parametrize("changes", [{"TableBucketArn": "tables"}, {"TableName": "A"}, {"TableName": "a" * 256}])
def test_a_wrong_table_is_refused(s3, refused, bucket, changes):
    value = {"S3TablesDestination": FIRST["S3TablesDestination"] | changes}
    error = refused("InvalidArgument", 400, create_first, s3=s3, bucket=bucket, value=value)["Error"]
    assert error["ArgumentName"] == next(iter(changes))
    refused(*NOT_FOUND, read, s3=s3, bucket=bucket)


@pytest.mark.parametrize("query", ["metadataConfiguration", "metadataTable"])
def test_an_empty_document_is_refused(raw, bucket, query):
    assert raw("POST", f"/{bucket}?{query}").status == 400
    assert raw("POST", f"/{bucket}?{query}", "<Other/>").outcome == (400, "MalformedXML")


def test_tables_are_said_to_be_there_where_tools_under_test_wait_for_that(start_server, tmp_path):
    """As Terraform does: for ACTIVE of the journal, and of the inventory where that is enabled."""
    s3 = _client(start_server(tmp_path / "data", S3ISH_TEST_TABLES_ACTIVE="true").endpoint, ROOT)
    for name in ("one", "two"):
        s3.create_bucket(Bucket=f"tables-{name}")
    create(s3, "tables-one")
    found = read(s3, "tables-one")
    for name, of in (("journal", "Journal"), ("inventory", "Inventory"), ("annotation", "Annotation")):
        table = found[f"{of}TableConfigurationResult"]
        assert (table["TableStatus"], table["TableName"]) == ("ACTIVE", name)
        assert not {"Error", "TableArn"} & table.keys()
    create_first(s3, "tables-two")
    assert read(s3, "tables-two")["JournalTableConfigurationResult"]["TableStatus"] == "ACTIVE"
    answer = s3.get_bucket_metadata_table_configuration(Bucket="tables-two")
    result = answer["GetBucketMetadataTableConfigurationResult"]
    assert (result["Status"], "Error" in result) == ("ACTIVE", False)
