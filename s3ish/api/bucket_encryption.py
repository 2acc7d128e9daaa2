"""How new objects of a bucket are encrypted by default: the document.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
"""

from s3ish.api.context import Context
from s3ish.api.documents import Effect, bucket_document
from s3ish.errors import InvalidArgument, MalformedXML, ServerSideEncryptionConfigurationNotFoundError
from s3ish.model import Bucket
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import shape

ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")
MAX_KEY_ID = 2048


@shape
class DefaultEncryption:
    """The algorithm, and the key of the key service."""

    algorithm: str = element("SSEAlgorithm", default=..., choices=ALGORITHMS)
    key_id: str | None = element("KMSMasterKeyID")


@shape
class BlockedEncryption:
    """What clients must not ask for."""

    types: list[str] = elements("EncryptionType", limit=2, choices=("NONE", "SSE-C"))


@shape
class EncryptionRule:
    """The rule of a bucket."""

    default: DefaultEncryption | None = element("ApplyServerSideEncryptionByDefault")
    bucket_key: bool | None = element("BucketKeyEnabled")
    blocked: BlockedEncryption | None = element("BlockedEncryptionTypes")


@shape(root="ServerSideEncryptionConfiguration")
class EncryptionConfiguration:
    """The encryption of a bucket: one rule."""

    rules: list[EncryptionRule] = elements("Rule", limit=1)


def _check(configuration: EncryptionConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    if len(configuration.rules) != 1:
        raise MalformedXML
    rule = configuration.rules[0]
    if rule.default is None and rule.blocked is None:
        raise MalformedXML
    if rule.blocked and len(rule.blocked.types) != 1:
        raise MalformedXML
    if rule.default is None or rule.default.key_id is None:
        return
    if rule.default.algorithm == "AES256":
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ArgumentName="ApplyServerSideEncryptionByDefault",
        )
    check_key_id(rule.default.key_id, "KMSMasterKeyID")


def check_key_id(key_id: str, name: str) -> None:
    """Check what names a key, and stands in a header of answers; ``name`` is its element. Raises InvalidArgument."""
    if not 0 < len(key_id) <= MAX_KEY_ID or not key_id.isprintable():
        raise InvalidArgument(f"The {name} is not valid", ArgumentName=name)


def _shown(context: Context, configuration: EncryptionConfiguration | None) -> EncryptionConfiguration | None:
    """Return the configuration as it is in effect: where the server encrypts everything, each bucket has a default."""
    rule = configuration.rules[0] if configuration else EncryptionRule(bucket_key=False)
    if rule.default is not None or not context.store.encodings.default:
        return configuration
    default = DefaultEncryption(algorithm=ALGORITHMS[0])
    return EncryptionConfiguration(
        rules=[EncryptionRule(default=default, bucket_key=rule.bucket_key, blocked=rule.blocked)]
    )


ENCRYPTION = bucket_document(
    EncryptionConfiguration,
    "encryption",
    "GetBucketEncryption PutBucketEncryption DeleteBucketEncryption",
    action="s3:{}EncryptionConfiguration",
    effect=Effect.ACTED_UPON,
    missing=ServerSideEncryptionConfigurationNotFoundError,
    check=_check,
    shown=_shown,
)
