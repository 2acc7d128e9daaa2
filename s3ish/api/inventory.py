"""Lists of all objects of a bucket, made day by day or week by week: the documents.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html
"""

from collections.abc import Awaitable, Callable
from typing import Any

from s3ish.api.authorize import check_permit
from s3ish.api.bucket_encryption import check_key_id
from s3ish.api.context import Context
from s3ish.api.destinations import bucket_named, check_destination
from s3ish.api.documents import Effect, numbered_document
from s3ish.api.filters import check_prefix
from s3ish.api.own_objects import put_own
from s3ish.auth.condition_keys import encryption_said, fields_said
from s3ish.auth.evaluator import Permit
from s3ish.errors import MalformedXML, NotImplemented
from s3ish.model import Attributes, Bucket
from s3ish.objects.consequences import Cause
from s3ish.objects.inventory import FIELDS, List
from s3ish.objects.store import Store
from s3ish.wire.fields import element, elements
from s3ish.wire.shape import shape

_CAUSE = Cause(job="inventory")


@shape
class ByServer:
    """Encryption with keys of the server."""


@shape
class ByKeyService:
    """Encryption with a key of the key service."""

    key_id: str = element("KeyId", default=...)


@shape
class ListEncryption:
    """How a list is encrypted."""

    by_server: ByServer | None = element("SSE-S3")
    by_key_service: ByKeyService | None = element("SSE-KMS")


@shape
class ListBucket:
    """The bucket and the form of a list."""

    account: str | None = element("AccountId")
    bucket: str = element("Bucket", default=...)
    format: str = element("Format", default=..., choices=("CSV", "ORC", "Parquet"))
    prefix: str | None = element("Prefix")
    encryption: ListEncryption | None = element("Encryption")


@shape
class ListDestination:
    """Where a list goes."""

    bucket: ListBucket = element("S3BucketDestination", default=...)


@shape
class ListFilter:
    """Which objects are listed."""

    prefix: str = element("Prefix", default=...)


@shape
class Schedule:
    """How often a list is made."""

    frequency: str = element("Frequency", default=..., choices=("Daily", "Weekly"))


@shape(root="InventoryConfiguration")
class InventoryConfiguration:
    """One list."""

    destination: ListDestination = element("Destination", default=...)
    is_enabled: bool = element("IsEnabled", default=...)
    filter: ListFilter | None = element("Filter")
    id: str = element("Id", default=...)
    versions: str = element("IncludedObjectVersions", default=..., choices=("All", "Current"))
    fields: list[str] | None = elements(
        "Field", wrapper="OptionalFields", choices=FIELDS, limit=len(FIELDS), optional=True
    )
    schedule: Schedule = element("Schedule", default=...)


def _check(inventory: InventoryConfiguration, bucket: Bucket) -> None:  # noqa: ARG001 - the form of every check
    destination = inventory.destination.bucket
    encryption = destination.encryption
    if encryption and (encryption.by_server is None) == (encryption.by_key_service is None):
        raise MalformedXML
    if encryption and encryption.by_key_service:
        check_key_id(encryption.by_key_service.key_id, "KeyId")
    if inventory.fields and len(set(inventory.fields)) < len(inventory.fields):
        raise MalformedXML
    check_prefix(inventory.filter.prefix if inventory.filter else "")
    check_destination(destination.bucket, destination.prefix)
    if destination.format == "ORC":
        raise NotImplemented("Lists of objects are made as CSV and as Parquet, not as ORC.")


async def _admit(context: Context, request: Any) -> None:
    """Check that the caller may write where the list goes, as the server does on its behalf. Raises AccessDenied."""
    wanted = _list(request.document)
    held = await context.store.find_bucket(wanted.target)
    folder, encryption = f"{wanted.folder(context.target.name)}/", wanted.encryption
    said = encryption_said(encryption.get("type"), encryption.get("key"))
    permit = Permit("s3:PutObject", wanted.target, folder, below=True, said=said)
    await check_permit(
        context.store, context.principal, permit, None if held is None else held.record, context.circumstances
    )


INVENTORY = numbered_document(
    InventoryConfiguration,
    "inventory",
    action="s3:{}InventoryConfiguration",
    effect=Effect.ACTED_UPON,
    listed_root="ListInventoryConfigurationsResult",
    check=_check,
    admit=_admit,
    says=lambda inventory: fields_said(inventory.fields or ()),
)


def lister(store: Store) -> Callable[[Bucket, str, bytes, Attributes], Awaitable[None]]:
    """Return what stores the files of lists in a store."""

    async def put(bucket: Bucket, key: str, data: bytes, attributes: Attributes) -> None:
        await put_own(store, bucket, key, data, attributes, _CAUSE)

    return put


def lists_of(bucket: Bucket) -> list[List]:
    """Return the lists of a bucket that are to be made."""
    return [_list(found) for found in INVENTORY.each(bucket) if found.is_enabled]


def _list(found: InventoryConfiguration) -> List:
    to = found.destination.bucket
    chosen = found.fields or ()
    return List(
        id=found.id,
        target=bucket_named(to.bucket),
        target_prefix=to.prefix or "",
        form=to.format,
        prefix=found.filter.prefix if found.filter else "",
        all_versions=found.versions == "All",
        weekly=found.schedule.frequency == "Weekly",
        fields=tuple(field for field in FIELDS if field in chosen),
        encryption=_encryption_of(to.encryption),
    )


def _encryption_of(wanted: ListEncryption | None) -> dict[str, str]:
    if wanted is None:
        return {}
    named = wanted.by_key_service
    return {"type": "aws:kms", "key": named.key_id} if named else {"type": "AES256"}
