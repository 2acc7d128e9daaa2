"""SelectObjectContent: a query on the records of one object, answered as a stream of events.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html
"""

from collections.abc import AsyncIterator

from s3ish.api.context import Context
from s3ish.api.customer_keys import check_key, customer_key_of
from s3ish.api.encrypting import encodings_with, keys_of
from s3ish.api.operation import operation
from s3ish.api.shapes import BucketRequest, CustomerKeyHeaders, DocumentDigest
from s3ish.errors import (
    InvalidCompressionFormat,
    InvalidDataSource,
    InvalidExpressionType,
    InvalidFileHeaderInfo,
    InvalidJsonType,
    InvalidQuoteFields,
    InvalidRequestParameter,
    InvalidScanRange,
    MissingRequiredParameter,
    NotImplemented,
    ObjectSerializationConflict,
    UnsupportedScanRangeInput,
)
from s3ish.objects import archive, get, versions
from s3ish.select import parser
from s3ish.select.request import Csv, Json, Task
from s3ish.select.running import Counts, Failure, Outcome, Records, Running, is_built
from s3ish.wire import event_stream
from s3ish.wire.fields import body, element, label, stream
from s3ish.wire.shape import shape
from s3ish.wire.xml import DECLARATION

_LONG_EXPRESSION = 4096
"""A longer one is read on a thread."""
_HEAD_BYTES = 1024 * 1024
"""How much of an object may be its header."""
_REQUEST_BYTES = 1024 * 1024


@shape
class CsvInput:
    """How an object of CSV is written."""

    header: str = element("FileHeaderInfo", default="NONE")
    comments: str = element("Comments", default="#")
    escape: str = element("QuoteEscapeCharacter", default='"')
    record: str = element("RecordDelimiter", default="\n")
    field: str = element("FieldDelimiter", default=",")
    quote: str = element("QuoteCharacter", default='"')
    quoted_records: bool = element("AllowQuotedRecordDelimiter", default=False)


@shape
class JsonInput:
    """Whether every line is a record."""

    kind: str | None = element("Type")


@shape
class ParquetInput:
    """Parquet says itself how it is written."""


@shape
class InputSerialization:
    """What the object is."""

    csv: CsvInput | None = element("CSV")
    compression: str = element("CompressionType", default="NONE")
    json: JsonInput | None = element("JSON")
    parquet: ParquetInput | None = element("Parquet")


@shape
class CsvOutput:
    """How the answer is written as CSV."""

    quote_fields: str = element("QuoteFields", default="ASNEEDED")
    escape: str = element("QuoteEscapeCharacter", default='"')
    record: str = element("RecordDelimiter", default="\n")
    field: str = element("FieldDelimiter", default=",")
    quote: str = element("QuoteCharacter", default='"')


@shape
class JsonOutput:
    """How the answer is written as JSON."""

    record: str = element("RecordDelimiter", default="\n")


@shape
class OutputSerialization:
    """What the answer is to be."""

    csv: CsvOutput | None = element("CSV")
    json: JsonOutput | None = element("JSON")


@shape
class RequestProgress:
    """Whether the client wants to know how far the query is."""

    enabled: bool = element("Enabled", default=False)


@shape
class ScanRange:
    """The first and the last byte at which wanted records begin."""

    start: int | None = element("Start")
    end: int | None = element("End")


@shape
class SelectRequest:
    """What is asked."""

    expression: str | None = element("Expression")
    expression_type: str | None = element("ExpressionType")
    progress: RequestProgress | None = element("RequestProgress")
    input: InputSerialization | None = element("InputSerialization")
    output: OutputSerialization | None = element("OutputSerialization")
    scan_range: ScanRange | None = element("ScanRange")


@shape
class SelectObjectContentRequest(BucketRequest, CustomerKeyHeaders, DocumentDigest):
    """POST /{Bucket}/{Key+}?select&select-type=2"""

    key: str = label("Key")
    wanted: SelectRequest = body("SelectObjectContentRequest")


@shape
class SelectObjectContentResponse:
    """The records that were found, as they are found."""

    events: "Events | None" = stream()


@operation("POST /{Bucket}/{Key+}?select&select-type=2", action="s3:GetObject", body_bytes=_REQUEST_BYTES)
async def select_object_content(context: Context, request: SelectObjectContentRequest) -> SelectObjectContentResponse:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html"""
    store, wanted = context.store, request.wanted
    if not is_built():
        raise NotImplemented("Queries on objects need the extra s3ish[select], which this server is without.")
    expression = _checked_expression(wanted)
    csv, json, packed = _read_input(wanted)
    csv_out, json_out = _read_output(wanted)
    context.require_signature("query objects")
    key = customer_key_of(context, request)
    if len(expression) > _LONG_EXPRESSION:
        await store.offload.run(parser.parse, expression)
    else:
        parser.parse(expression)

    async def attempt() -> Running:
        version = await versions.get(store, request.bucket, request.key, None)
        check_key(version, key)
        archive.check_readable(version, store.clock.service_ns())
        scan = _read_scan_range(wanted.scan_range, version.size)
        if wanted.scan_range and (packed != "NONE" or (json and not json.lines) or (csv and csv.quoted_records)):
            raise UnsupportedScanRangeInput
        keys = await keys_of(context, version.attributes.encryption, version.encoding, key)
        encodings = encodings_with(store, keys)

        async def opened(start: int, stop: int) -> get.Flow:
            return get.as_flow(await get.open_span(store, version, start, stop, encodings))

        first = max(scan[0] - len(csv.end if csv else b"\n"), 0)  # what is before tells whether a record begins
        task = Task(
            expression=expression,
            csv=csv,
            json=json,
            csv_out=csv_out,
            json_out=json_out,
            size=version.size,
            now=store.clock.service_now().strftime("%Y-%m-%dT%H:%M:%S.%f"),
            seconds=store.selects.seconds,
            memory_mib=store.selects.memory_mib,
            packed=packed,
            filler=_filler(store.clock.token(20), csv) if csv else "",
            first=scan[0],
            skip=scan[0] > 0,
            stop=scan[1] - (first if csv or json else 0) if wanted.scan_range else None,
            head=min(version.size, _HEAD_BYTES) if csv and scan[0] else 0,
        )
        return await store.selects.begin(task, first, opened)

    running = await get.decided(attempt)
    events = Events(running, shows_progress=bool(wanted.progress and wanted.progress.enabled))
    await events.begin()
    return SelectObjectContentResponse(events=events)


class Events:
    """The messages of an answer. It must be closed.

    Args:
        running: the query.
        shows_progress: whether the client wants to know how far it is.
    """

    def __init__(self, running: Running, *, shows_progress: bool) -> None:
        self._running, self._shows_progress = running, shows_progress
        self._first: Outcome | None = None
        self._messages = self._write()

    async def begin(self) -> None:
        """Wait for the first sign of the query: what is wrong at once is answered as an error. Raises S3Error."""
        try:
            self._first = await self._running.next()
            if isinstance(self._first, Failure):
                raise self._first.error
        except BaseException:
            await self.aclose()
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._messages

    async def aclose(self) -> None:
        """End the query; idempotent."""
        await self._running.aclose()

    async def _write(self) -> AsyncIterator[bytes]:
        outcome = self._first
        while True:
            if outcome is None:
                yield event_stream.event("Cont")
            elif isinstance(outcome, Records):
                yield event_stream.event("Records", outcome.data, "application/octet-stream")
            elif isinstance(outcome, Failure):
                yield event_stream.error(outcome.error.code, outcome.error.message)
                return
            elif outcome.ended:
                if self._shows_progress:
                    yield _counted("Progress", outcome)
                yield _counted("Stats", outcome) + event_stream.event("End")
                return
            elif self._shows_progress:
                yield _counted("Progress", outcome)
            outcome = await self._running.next()


def _counted(name: str, counts: Counts) -> bytes:
    """Return an event of numbers."""
    text = (
        f"{DECLARATION}<{name}><BytesScanned>{counts.scanned}</BytesScanned><BytesProcessed>{counts.processed}"
        f"</BytesProcessed><BytesReturned>{counts.returned}</BytesReturned></{name}>"
    )
    return event_stream.event(name, text.encode(), "text/xml")


def _checked_expression(wanted: SelectRequest) -> str:
    if wanted.expression is None or wanted.expression_type is None or not (wanted.input and wanted.output):
        raise MissingRequiredParameter
    if wanted.expression_type.upper() != "SQL":
        raise InvalidExpressionType
    return wanted.expression


def _read_input(wanted: SelectRequest) -> tuple[Csv | None, Json | None, str]:
    """Return how the object is written, and by what it is packed; Parquet is neither CSV nor JSON.

    AWS writes the words of formats in capitals, and in its examples not; both are taken.
    """
    given = wanted.input or InputSerialization()
    formats = [it for it in (given.csv, given.json, given.parquet) if it is not None]
    if len(formats) != 1:
        raise ObjectSerializationConflict if formats else InvalidDataSource
    packed = given.compression.upper()
    if packed not in ("NONE", "GZIP", "BZIP2") or (given.parquet and packed != "NONE"):
        raise InvalidCompressionFormat
    if given.json:
        kind = (given.json.kind or "").upper()
        if kind not in ("LINES", "DOCUMENT"):
            raise InvalidJsonType
        return None, Json(lines=kind == "LINES"), packed
    if given.csv is None:
        return None, None, packed
    form, header = given.csv, given.csv.header.upper()
    if header not in ("NONE", "USE", "IGNORE"):
        raise InvalidFileHeaderInfo
    found = Csv(form.record, form.field, form.quote, form.escape, form.comments, header, form.quoted_records)
    _check_csv_input(found)
    return found, None, packed


def _check_csv_input(form: Csv) -> None:
    """Refuse what the engine has no way to read. Raises InvalidRequestParameter."""
    _check_characters(form)
    if form.record != "\r\n" and (len(form.record) != 1 or not form.record.isascii()):
        raise _refusal("RecordDelimiter", "of an input it is one ASCII character, or CR and LF")
    if form.record in (form.field, form.quote, form.escape):
        raise _refusal("RecordDelimiter", "it differs from FieldDelimiter and the characters of quotes")
    if len(form.comment) > 1 or not form.comment.isascii():
        raise _refusal("Comments", "it is one ASCII character")


def _filler(token: str, form: Csv) -> str:
    """Return a text that is a field of CSV as it stands."""
    return "".join(
        character for character in token if character not in form.field + form.quote + form.escape + form.record
    )


def _check_characters(form: Csv) -> None:
    if len(form.field) != 1 or len(form.field.encode("utf-8", "replace")) > 4 or form.field in "\0\r\n":
        raise _refusal("FieldDelimiter", "it is one character that ends no line")
    for name, value in (("QuoteCharacter", form.quote), ("QuoteEscapeCharacter", form.escape)):
        if len(value) > 1 or not value.isascii() or value in ("\0", "\r", "\n", form.field):
            raise _refusal(name, "it is one ASCII character that ends neither field nor line")


def _refusal(name: str, why: str) -> InvalidRequestParameter:
    return InvalidRequestParameter(f"{InvalidRequestParameter.text} {name}: {why}.")


def _read_output(wanted: SelectRequest) -> tuple[Csv | None, Json | None]:
    given = wanted.output or OutputSerialization()
    if (given.csv is None) is (given.json is None):
        raise ObjectSerializationConflict if given.csv else MissingRequiredParameter
    record = (given.csv or given.json or JsonOutput()).record
    if len(record) > 128:
        raise _refusal("RecordDelimiter", "it has at most 128 characters")
    if given.csv is None:
        return None, Json(record=record)
    form, quoted = given.csv, given.csv.quote_fields.upper()
    if quoted not in ("ALWAYS", "ASNEEDED"):
        raise InvalidQuoteFields
    found = Csv(record, form.field, form.quote, form.escape, always=quoted == "ALWAYS")
    _check_characters(found)
    return found, None


def _read_scan_range(given: ScanRange | None, size: int) -> tuple[int, int]:
    """Return the first byte at which a record may begin, and the first at which none may. Raises InvalidScanRange."""
    if given is None:
        return 0, size
    start, end = given.start, given.end
    if start is None and end is None:
        raise InvalidScanRange
    if start is None:
        assert end is not None
        start, end = max(0, size - end), size - 1  # the last bytes, as many as the end says
    if start < 0 or (end is not None and end < start):
        raise InvalidScanRange
    if size and start >= size:
        raise InvalidScanRange
    return start, size if end is None else min(end + 1, size)
