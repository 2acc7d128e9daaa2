"""The file in a browser's form, as a source of bytes for a write."""

from collections.abc import Mapping

from msgspec.structs import replace

from s3ish import checksum
from s3ish.auth.post_policy import Sizes
from s3ish.blob.protocol import Buffer
from s3ish.errors import (
    EntityTooLarge,
    EntityTooSmall,
    InvalidArgument,
    InvalidRequest,
    MalformedPOSTRequest,
)
from s3ish.objects.digests import Claims
from s3ish.server.body import RequestBody, claimed_md5
from s3ish.wire.form import FormParser, boundary_of

_STEP_BYTES = 64 * 1024


class FormBody:
    """A form on its way in; a ``Source`` of its file once the fields are read.

    Args:
        body: the body of the request.
        content_type: its Content-Type.

    Raises:
        PreconditionFailed: it is no form.
    """

    def __init__(self, body: RequestBody, content_type: str) -> None:
        self._body = body
        self._parser = FormParser(boundary_of(content_type))
        self._pieces: list[bytes] = []
        self._held = 0
        self._taken = 0
        self._sizes = Sizes()
        self._claims = Claims()
        self.size: int | None = None  # what follows the file is not known before it has come
        self.algorithm: str | None = None
        self.expects_sha256 = self.is_signed = False

    @property
    def file_name(self) -> str:
        """The name of the file, as the browser says."""
        return self._parser.file_name

    @property
    def file_type(self) -> str:
        """The type of the file, as the browser says."""
        return self._parser.file_type

    async def read_fields(self) -> dict[str, str]:
        """Return the fields before the file, by lower-case name.

        Raises:
            InvalidArgument: the form has no file.
            S3Error: as ``FormParser.feed``, and as reading the body does.
        """
        while not self._parser.in_file:
            if not await self._feed():
                raise InvalidArgument(
                    "POST requires exactly one file upload per request.", ArgumentName="file", ArgumentValue=0
                )
        self._keep()
        return self._parser.fields

    def expect(self, sizes: Sizes, fields: Mapping[str, str]) -> None:
        """Hold the file to what policy and fields say of it. Raises InvalidRequest, InvalidDigest."""
        self._sizes = sizes
        self._claims = Claims(md5=claimed_md5(fields.get("content-md5")))
        given = [name for name in checksum.ALGORITHMS if f"x-amz-checksum-{name.lower()}" in fields]
        if len(given) > 1:
            raise InvalidRequest("Expecting a single x-amz-checksum- header.")
        if given:
            value = fields[f"x-amz-checksum-{given[0].lower()}"]
            if not checksum.valid(given[0], value):
                raise InvalidRequest(f"Value for x-amz-checksum-{given[0].lower()} header is invalid.")
            self.algorithm, self._claims = given[0], replace(self._claims, checksum=value)

    async def gather(self, count: int) -> None:
        """Wait until so many bytes have come, or all."""
        self._check_size()
        while self._held < count and not self._parser.file_ended:
            if not await self._feed():
                raise MalformedPOSTRequest
            self._keep()
            self._check_size()
        if self._parser.file_ended:
            await self._finish()

    async def read(self, limit: int) -> Buffer:
        """Return exactly ``limit`` bytes of the file, fewer only at its end."""
        await self.gather(limit)
        data = b"".join(self._pieces)
        self._pieces = [data[limit:]] if len(data) > limit else []
        self._held = max(0, len(data) - limit)
        self._taken += min(limit, len(data))
        return data[:limit]

    def claims(self) -> Claims:
        """Return what the sender says of the bytes."""
        return self._claims

    async def _finish(self) -> None:
        """Read what follows the file, which means nothing: a form that does not end is none."""
        while not self._parser.ended:
            if not await self._feed():
                raise MalformedPOSTRequest
        if self._taken + self._held < self._sizes.least:
            raise EntityTooSmall(ProposedSize=self._taken + self._held, MinSizeAllowed=self._sizes.least)

    async def _feed(self) -> bool:
        """Take more of the form; tell whether there was more."""
        data = await self._body.read_some(_STEP_BYTES)
        if data:
            self._parser.feed(bytes(data))
        return bool(data)

    def _keep(self) -> None:
        for piece in self._parser.take():
            self._pieces.append(piece)
            self._held += len(piece)

    def _check_size(self) -> None:
        if self._taken + self._held > self._sizes.most:
            raise EntityTooLarge(ProposedSize=self._taken + self._held, MaxSizeAllowed=self._sizes.most)
