"""Tables of the metadata of a bucket's objects: documents that are kept, of tables that nothing makes here.

A bucket has one configuration, of the first version (one table in a table bucket of the client) or of the second (a
journal, an inventory and annotations in a table bucket of AWS). A read says of every table that it could not be made;
``test.tables_active`` has it say that it is there, for tools that wait for that.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-overview.html
"""

import re
from collections.abc import Mapping

from s3ish.api.context import Context
from s3ish.api.documents import DocumentHeaders, Documents, Effect
from s3ish.api.operation import operation
from s3ish.api.replication import ROLE_ARN
from s3ish.api.shapes import BucketRequest
from s3ish.api.subresources import type_of
from s3ish.api.update_encryption import KEY_ARN
from s3ish.errors import InvalidArgument, InvalidBucketState, MetadataConfigurationNotFound, MethodNotAllowed
from s3ish.model import ACCOUNT, Bucket
from s3ish.objects import buckets
from s3ish.wire.fields import body, element
from s3ish.wire.shape import shape

_SWITCH = ("ENABLED", "DISABLED")
_DAYS = range(7, 2**31)
"""How long records of the journal may be kept."""
_TABLE_BUCKET = re.compile(r"arn:aws[-a-z0-9]{0,32}:s3tables:[-a-z0-9]{1,64}:[0-9]{12}:bucket/[a-z0-9_-]{3,63}")
_TABLE_NAME = re.compile("[0-9a-z_]{1,255}")
_FIRST_NAMESPACE = "aws_s3_metadata"
"""The namespace of all tables of the first version."""


# --- what is put ------------------------------------------------------------------------------------------------------


@shape
class TableEncryption:
    """How a table is encrypted."""

    algorithm: str = element("SseAlgorithm", default=..., choices=("aws:kms", "AES256"))
    key: str | None = element("KmsKeyArn")


@shape
class RecordExpiration:
    """Whether records of the journal expire, and after how many days."""

    expiration: str = element("Expiration", default=..., choices=_SWITCH)
    days: int | None = element("Days")


@shape
class JournalUpdate:
    """What can be changed of a journal."""

    expiration: RecordExpiration = element("RecordExpiration", default=...)


@shape
class Journal(JournalUpdate):
    """The table of changes."""

    encryption: TableEncryption | None = element("EncryptionConfiguration")


@shape
class Inventory:
    """The table of all objects."""

    state: str = element("ConfigurationState", default=..., choices=_SWITCH)
    encryption: TableEncryption | None = element("EncryptionConfiguration")


@shape
class Annotations(Inventory):
    """The table of annotations, and the role that reads them."""

    role: str | None = element("Role")


@shape(root="MetadataConfiguration")
class MetadataConfiguration:
    """A configuration of the second version."""

    journal: Journal = element("JournalTableConfiguration", default=...)
    inventory: Inventory | None = element("InventoryTableConfiguration")
    annotations: Annotations | None = element("AnnotationTableConfiguration")


@shape
class TableDestination:
    """The table that a client names."""

    bucket: str = element("TableBucketArn", default=...)
    name: str = element("TableName", default=...)


@shape(root="MetadataTableConfiguration")
class MetadataTableConfiguration:
    """A configuration of the first version."""

    destination: TableDestination = element("S3TablesDestination", default=...)


TABLES = Documents("metadataConfiguration", MetadataConfiguration, "MetadataConfiguration", Effect.NONE)
TABLE = Documents("metadataTable", MetadataTableConfiguration, "MetadataTableConfiguration", Effect.NONE)


def _refuse(name: str, value: str | int | None) -> InvalidArgument:
    return InvalidArgument(f"The value of {name} is not valid.", ArgumentName=name, ArgumentValue=str(value)[:256])


def _check_encryption(table: Journal | Inventory | None) -> None:
    """Check that a key is named where one is used, and nowhere else."""
    encryption = table and table.encryption
    if not encryption:
        return
    is_right = KEY_ARN.fullmatch(encryption.key or "") if encryption.algorithm == "aws:kms" else encryption.key is None
    if not is_right:
        raise _refuse("KmsKeyArn", encryption.key or "")


def _check_expiration(journal: JournalUpdate) -> None:
    days = journal.expiration.days
    if days is not None and days not in _DAYS:
        raise _refuse("Days", days)


def _check_annotations(table: Annotations | None) -> None:
    _check_encryption(table)
    if table and table.role is not None and not ROLE_ARN.fullmatch(table.role):
        raise _refuse("Role", table.role)


# --- what is shown ----------------------------------------------------------------------------------------------------


@shape
class TableError:
    """Why there is no table."""

    code: str = element("ErrorCode", default="DestinationTableNotFound")
    message: str = element(
        "ErrorMessage", default="This server makes no tables: the configuration is kept, and has no effect."
    )


@shape
class TableOutcome:
    """What became of a table; nothing of one that is not wanted."""

    status: str | None = element("TableStatus")
    error: TableError | None = element("Error")
    name: str | None = element("TableName")


@shape
class JournalOutcome(TableOutcome):
    """What became of the table of changes."""

    expiration: RecordExpiration = element("RecordExpiration", default=...)


@shape
class InventoryOutcome(TableOutcome):
    """What became of the table of all objects."""

    state: str = element("ConfigurationState", default=...)


@shape
class AnnotationsOutcome(InventoryOutcome):
    """What became of the table of annotations."""

    role: str | None = element("Role")


@shape
class Destination:
    """Where the tables would be."""

    kind: str = element("TableBucketType", default=..., choices=("aws", "customer"))
    bucket: str = element("TableBucketArn", default=...)
    namespace: str = element("TableNamespace", default=...)


@shape
class TablesOutcome:
    """What became of all tables of a bucket."""

    destination: Destination = element("DestinationResult", default=...)
    journal: JournalOutcome | None = element("JournalTableConfigurationResult")
    inventory: InventoryOutcome | None = element("InventoryTableConfigurationResult")
    annotations: AnnotationsOutcome | None = element("AnnotationTableConfigurationResult")


@shape
class TableDestinationOutcome(TableDestination):
    """The table that a client named."""

    arn: str = element("TableArn", default=...)
    namespace: str = element("TableNamespace", default=_FIRST_NAMESPACE)


@shape
class TablePlace:
    """Where the table would be."""

    destination: TableDestinationOutcome = element("S3TablesDestinationResult", default=...)


def _state(*, active: bool) -> tuple[str, TableError | None]:
    """Return what is said of each table: that it could not be made, unless the settings ask for the other word."""
    return ("ACTIVE", None) if active else ("FAILED", TableError())


def _journal_of(name: str, expiration: RecordExpiration, *, active: bool) -> JournalOutcome:
    status, error = _state(active=active)
    return JournalOutcome(status=status, error=error, name=name, expiration=expiration)


def _outcome_of(bucket: Bucket, tables: MetadataConfiguration, *, active: bool) -> TablesOutcome:
    place = f"arn:aws:s3tables:{bucket.region}:{ACCOUNT}:bucket/aws-s3"
    found = TablesOutcome(
        destination=Destination(kind="aws", bucket=place, namespace=f"b_{bucket.name}"),
        journal=_journal_of("journal", tables.journal.expiration, active=active),
    )
    if tables.inventory:
        found.inventory = InventoryOutcome(state=tables.inventory.state)
        _tell(found.inventory, "inventory", active=active)
    if tables.annotations:
        found.annotations = AnnotationsOutcome(state=tables.annotations.state, role=tables.annotations.role)
        _tell(found.annotations, "annotation", active=active)
    return found


def _tell(table: InventoryOutcome, name: str, *, active: bool) -> None:
    if table.state == "ENABLED":
        (table.status, table.error), table.name = _state(active=active), name


def _outcome_of_first(table: TableDestination, *, active: bool) -> TablesOutcome:
    return TablesOutcome(
        destination=Destination(kind="customer", bucket=table.bucket, namespace=_FIRST_NAMESPACE),
        journal=_journal_of(table.name, RecordExpiration(expiration="DISABLED"), active=active),
    )


# --- operations of both versions --------------------------------------------------------------------------------------


async def _create(context: Context, written: Mapping[str, str | None]) -> None:
    def changes(bucket: Bucket) -> Mapping[str, str | None]:
        if TABLES.of(bucket) or TABLE.of(bucket):
            raise InvalidBucketState("The bucket has a metadata configuration already. Delete it first.")
        return written

    await buckets.set_documents(context.store, context.target.name, changes)


@shape
class CreateBucketMetadataConfigurationRequest(DocumentHeaders):
    """POST /{Bucket}?metadataConfiguration"""

    configuration: MetadataConfiguration = body("MetadataConfiguration")


@operation("POST /{Bucket}?metadataConfiguration", action="s3:CreateBucketMetadataTableConfiguration")
async def create_bucket_metadata_configuration(
    context: Context, request: CreateBucketMetadataConfigurationRequest
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketMetadataConfiguration.html"""
    given = request.configuration
    _check_expiration(given.journal)
    _check_encryption(given.journal)
    _check_encryption(given.inventory)
    _check_annotations(given.annotations)
    await _create(context, TABLES.written(given))


@shape
class CreateBucketMetadataTableConfigurationRequest(DocumentHeaders):
    """POST /{Bucket}?metadataTable"""

    configuration: MetadataTableConfiguration = body("MetadataTableConfiguration")


@operation("POST /{Bucket}?metadataTable", action="s3:CreateBucketMetadataTableConfiguration")
async def create_bucket_metadata_table_configuration(
    context: Context, request: CreateBucketMetadataTableConfigurationRequest
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketMetadataTableConfiguration.html"""
    wanted = request.configuration.destination
    if not _TABLE_BUCKET.fullmatch(wanted.bucket):
        raise _refuse("TableBucketArn", wanted.bucket)
    if not _TABLE_NAME.fullmatch(wanted.name):
        raise _refuse("TableName", wanted.name)
    await _create(context, TABLE.written(request.configuration))


def _first_of(bucket: Bucket, method: str) -> MetadataTableConfiguration:
    """Return the configuration of the first version. Raises MethodNotAllowed if it is of the second."""
    if TABLES.of(bucket):
        raise MethodNotAllowed(
            headers={"allow": "POST"}, Method=method, ResourceType=type_of("bucket", ["metadataTable"])
        )
    found = TABLE.of(bucket)
    if not found:
        raise MetadataConfigurationNotFound(BucketName=bucket.name)
    return found


@shape
class MetadataConfigurationRequest(BucketRequest):
    """A request that reads a configuration, or removes it."""


@shape(root="GetBucketMetadataConfigurationResult")
class GetBucketMetadataConfigurationResponse:
    """What became of the tables of a bucket."""

    outcome: TablesOutcome = element("MetadataConfigurationResult", default=...)


@operation("GET /{Bucket}?metadataConfiguration", action="s3:GetBucketMetadataTableConfiguration")
async def get_bucket_metadata_configuration(
    context: Context,
    request: MetadataConfigurationRequest,  # noqa: ARG001 - the form of every handler
) -> GetBucketMetadataConfigurationResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketMetadataConfiguration.html"""
    bucket, active = context.target, context.store.tables_active
    if tables := TABLES.of(bucket):
        return GetBucketMetadataConfigurationResponse(outcome=_outcome_of(bucket, tables, active=active))
    table = _first_of(bucket, "GET").destination
    return GetBucketMetadataConfigurationResponse(outcome=_outcome_of_first(table, active=active))


@shape(root="GetBucketMetadataTableConfigurationResult")
class GetBucketMetadataTableConfigurationResponse:
    """What became of the table of a bucket."""

    place: TablePlace = element("MetadataTableConfigurationResult", default=...)
    status: str = element("Status", default=...)
    error: TableError | None = element("Error")


@operation("GET /{Bucket}?metadataTable", action="s3:GetBucketMetadataTableConfiguration")
async def get_bucket_metadata_table_configuration(
    context: Context,
    request: MetadataConfigurationRequest,  # noqa: ARG001 - the form of every handler
) -> GetBucketMetadataTableConfigurationResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketMetadataTableConfiguration.html"""
    table = _first_of(context.target, "GET").destination
    arn = f"{table.bucket}/table/{table.name}"
    place = TablePlace(destination=TableDestinationOutcome(bucket=table.bucket, name=table.name, arn=arn))
    status, error = _state(active=context.store.tables_active)
    return GetBucketMetadataTableConfigurationResponse(place=place, status=status, error=error)


@operation("DELETE /{Bucket}?metadataConfiguration", action="s3:DeleteBucketMetadataTableConfiguration", status=204)
async def delete_bucket_metadata_configuration(
    context: Context,
    request: MetadataConfigurationRequest,  # noqa: ARG001 - the form of every handler
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketMetadataConfiguration.html"""

    def changes(bucket: Bucket) -> Mapping[str, str | None]:
        if not TABLES.of(bucket):
            _first_of(bucket, "DELETE")
        return TABLES.removed | TABLE.removed

    await buckets.set_documents(context.store, context.target.name, changes)


@operation("DELETE /{Bucket}?metadataTable", action="s3:DeleteBucketMetadataTableConfiguration", status=204)
async def delete_bucket_metadata_table_configuration(
    context: Context,
    request: MetadataConfigurationRequest,  # noqa: ARG001 - the form of every handler
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketMetadataTableConfiguration.html"""

    def changes(bucket: Bucket) -> Mapping[str, str | None]:
        _first_of(bucket, "DELETE")
        return TABLE.removed

    await buckets.set_documents(context.store, context.target.name, changes)


# --- updates of the second version ------------------------------------------------------------------------------------


async def _update(
    context: Context,
    *,
    journal: JournalUpdate | None = None,
    inventory: Inventory | None = None,
    annotations: Annotations | None = None,
) -> None:
    """Put what is given in place of what is held. Raises MetadataConfigurationNotFound."""

    def changes(bucket: Bucket) -> Mapping[str, str | None]:
        held = TABLES.of(bucket)
        if not held:
            raise MetadataConfigurationNotFound(BucketName=bucket.name)
        kept = held.journal
        if journal:
            kept = Journal(expiration=journal.expiration, encryption=kept.encryption)
        return TABLES.written(
            MetadataConfiguration(
                journal=kept, inventory=inventory or held.inventory, annotations=annotations or held.annotations
            )
        )

    await buckets.set_documents(context.store, context.target.name, changes)


@shape
class UpdateBucketMetadataJournalTableConfigurationRequest(DocumentHeaders):
    """PUT /{Bucket}?metadataJournalTable"""

    table: JournalUpdate = body("JournalTableConfiguration")


@operation("PUT /{Bucket}?metadataJournalTable", action="s3:UpdateBucketMetadataJournalTableConfiguration")
async def update_bucket_metadata_journal_table_configuration(
    context: Context, request: UpdateBucketMetadataJournalTableConfigurationRequest
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateBucketMetadataJournalTableConfiguration.html"""
    _check_expiration(request.table)
    await _update(context, journal=request.table)


@shape
class UpdateBucketMetadataInventoryTableConfigurationRequest(DocumentHeaders):
    """PUT /{Bucket}?metadataInventoryTable"""

    table: Inventory = body("InventoryTableConfiguration")


@operation("PUT /{Bucket}?metadataInventoryTable", action="s3:UpdateBucketMetadataInventoryTableConfiguration")
async def update_bucket_metadata_inventory_table_configuration(
    context: Context, request: UpdateBucketMetadataInventoryTableConfigurationRequest
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateBucketMetadataInventoryTableConfiguration.html"""
    _check_encryption(request.table)
    await _update(context, inventory=request.table)


@shape
class UpdateBucketMetadataAnnotationTableConfigurationRequest(DocumentHeaders):
    """PUT /{Bucket}?metadataAnnotationTable"""

    table: Annotations = body("AnnotationTableConfiguration")


@operation("PUT /{Bucket}?metadataAnnotationTable", action="s3:UpdateBucketMetadataAnnotationTableConfiguration")
async def update_bucket_metadata_annotation_table_configuration(
    context: Context, request: UpdateBucketMetadataAnnotationTableConfigurationRequest
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateBucketMetadataAnnotationTableConfiguration.html"""
    _check_annotations(request.table)
    await _update(context, annotations=request.table)
