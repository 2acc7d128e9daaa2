"""Long documents are read once for many requests, not by each; some are refused from a length on."""

import base64
import hashlib

import pytest

from s3ish.api import cors, documents, lifecycle, replication
from s3ish.model import Bucket, Owner
from tests.objects.support import NO_BLOB

RULES = "".join(
    f"<Rule><ID>{number}</ID><Filter><Prefix>{number}/</Prefix></Filter><Status>{{}}</Status>"
    f"<Expiration><Days>{number + 1}</Days></Expiration></Rule>"
    for number in range(1000)
)
REPLICATED = "".join(
    f"<Rule><ID>{number}</ID><Priority>{number}</Priority><Filter><Prefix>{number}/</Prefix></Filter>"
    "<Status>Enabled</Status><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>"
    "<Destination><Bucket>arn:aws:s3:::there</Bucket></Destination></Rule>"
    for number in range(1000)
)
ORIGINS = "".join(f"<AllowedOrigin>https://{number}.example.com</AllowedOrigin>" for number in range(1000))


def bucket_with(**texts):
    return Bucket(name="b", created_ns=0, owner=Owner("o", "o"), blob=NO_BLOB, region="", documents=texts)


@pytest.fixture
def reads(monkeypatch):
    """The names of the shapes that are read from XML."""
    done, real = [], documents.read_document

    def read(kind, *rest):
        done.append(kind.__name__)
        return real(kind, *rest)

    monkeypatch.setattr(documents, "read_document", read)
    return done


def test_rules_of_a_long_document_are_worked_out_once(reads):
    enabled = f"<LifecycleConfiguration>{RULES.format(*['Enabled'] * 1000)}</LifecycleConfiguration>"
    found = [lifecycle.rules_of(bucket_with(lifecycle=enabled)) for _ in range(3)]
    assert (len(found[0]), reads) == (1000, ["LifecycleConfiguration"])
    assert found[0] is found[1] is found[2]
    disabled = f"<LifecycleConfiguration>{RULES.format(*['Disabled'] * 1000)}</LifecycleConfiguration>"
    assert lifecycle.rules_of(bucket_with(lifecycle=disabled)) == ()
    assert lifecycle.rules_of(bucket_with()) == ()


def test_what_stands_beside_a_document_belongs_to_its_meaning():
    text = (
        "<LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status>"
        "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>"
    )
    least = []
    for size in ("varies_by_storage_class", "all_storage_classes_128K", "varies_by_storage_class"):
        held = bucket_with(lifecycle=text, **{documents._beside("lifecycle"): size})
        least.append(lifecycle.rules_of(held)[0].moves[0].least)
    assert least == [0, 128 * 1024, 0]


def test_replication_rules_and_long_documents_of_each_kind_are_kept_too(reads):
    text = f"<ReplicationConfiguration><Role>r</Role>{REPLICATED}</ReplicationConfiguration>"
    assert replication.rules_of(bucket_with(replication=text)) is replication.rules_of(bucket_with(replication=text))
    rule = f"<CORSRule><AllowedMethod>GET</AllowedMethod>{ORIGINS}</CORSRule>"
    held = bucket_with(cors=f"<CORSConfiguration>{rule}</CORSConfiguration>")
    assert cors.CORS.of(held) is cors.CORS.of(held)
    assert reads == ["ReplicationConfiguration", "CorsConfiguration"]


ONE_RULE = "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>"
ONE_PAGE = "<IndexDocument><Suffix>i</Suffix></IndexDocument>"


@pytest.mark.parametrize(
    ("query", "longest", "document"),
    [
        ("cors", 64, f"<CORSConfiguration>{ONE_RULE}{{}}</CORSConfiguration>"),
        ("website", 128, f"<WebsiteConfiguration>{ONE_PAGE}{{}}</WebsiteConfiguration>"),
    ],
)
def test_documents_are_as_long_as_s3_allows(raw, bucket, query, longest, document):
    """It names these lengths in KB."""
    for length, outcome in ((longest * 1024, 200), (longest * 1024 + 1, (400, "MaxMessageLengthExceeded"))):
        body = document.format(" " * (length - len(document) + 2)).encode()
        assert len(body) == length
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        answer = raw("PUT", f"/{bucket}?{query}", body, {"Content-MD5": digest})
        assert (answer.status if answer.status == 200 else answer.outcome) == outcome
