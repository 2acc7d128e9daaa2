"""The form of a browser's upload: fields, then the file, as they arrive.

python-multipart finds the parts; what they mean, and how much of them there may be, is decided here. The file's bytes
are handed on in pieces and never kept.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
"""

import re
from typing import Any

from s3ish.errors import (
    InvalidArgument,
    MalformedPOSTRequest,
    MaxPostPreDataLengthExceededError,
    PreconditionFailed,
)

MAX_FIELDS_BYTES = 20 * 1024
"""The most that names and values of all fields, and all else before the file, may have."""
_MAX_HEADERS = 16
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_FILE = "file"


def boundary_of(content_type: str) -> bytes:
    """Return what separates the parts, from the Content-Type header.

    Raises:
        PreconditionFailed: the request is not such a form.
    """
    from python_multipart.multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not _BOUNDARY.fullmatch(boundary.decode("latin-1")):
        raise PreconditionFailed(Condition="Bucket POST must be of the enclosure-type multipart/form-data")
    return bytes(boundary)


class FormParser:
    """Takes a form apart as it arrives.

    ``fields`` are those before the file, by lower-case name. ``in_file`` says that the file has begun, ``file_name``
    and ``file_type`` what the browser says of it. What comes behind the file is ignored, as S3 does.

    Args:
        boundary: what separates the parts.
    """

    def __init__(self, boundary: bytes) -> None:
        from python_multipart.exceptions import MultipartParseError
        from python_multipart.multipart import MultipartParser

        self._malformed = MultipartParseError
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        self.fields: dict[str, str] = {}
        self.in_file = False
        self.file_ended = False
        self.ended = False
        self.file_name = ""
        self.file_type = ""
        self._pieces: list[bytes] = []
        self._before = 0
        self._name = ""
        self._value = bytearray()
        self._headers: dict[str, str] = {}
        self._header_name, self._header_value = bytearray(), bytearray()

    def feed(self, data: bytes) -> None:
        """Take more of the form.

        Raises:
            MalformedPOSTRequest: it is no form.
            MaxPostPreDataLengthExceededError: too much stands before the file.
            InvalidArgument: a field appears twice, or is not UTF-8.
        """
        if not self.in_file:
            self._before += len(data)
        try:
            self._parser.write(data)
        except self._malformed as error:
            raise MalformedPOSTRequest from error
        if not self.in_file and self._before > MAX_FIELDS_BYTES:
            raise MaxPostPreDataLengthExceededError(MaxPostPreDataLengthBytes=MAX_FIELDS_BYTES)

    def take(self) -> list[bytes]:
        """Return what has come of the file since this was last asked."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin_part(self) -> None:
        self._headers, self._name = {}, ""
        self._value.clear()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if len(self._headers) >= _MAX_HEADERS:
            raise MalformedPOSTRequest
        self._headers[self._header_name.decode("latin-1").lower()] = self._header_value.decode("latin-1")
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        if self.file_ended:
            return
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(self._headers.get("content-disposition", ""))
        self._name = _text(options.get(b"name", b"")).lower()
        if kind != b"form-data" or not self._name:
            raise MalformedPOSTRequest
        if self._name == _FILE:
            self.in_file = True
            self.file_name = _text(options.get(b"filename", b"")).replace("\\", "/").rpartition("/")[2]
            self.file_type = self._headers.get("content-type", "")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self.file_ended:
            return
        if self.in_file:
            self._pieces.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELDS_BYTES:
            raise MaxPostPreDataLengthExceededError(MaxPostPreDataLengthBytes=MAX_FIELDS_BYTES)

    def _end_part(self) -> None:
        if self.in_file:
            self.file_ended = True
            return
        if self._name in self.fields:
            raise InvalidArgument("A form field appears twice.", ArgumentName=self._name[:128])
        self.fields[self._name] = _text(bytes(self._value))

    def _end(self) -> None:
        self.ended = True


def _text(data: Any) -> str:
    try:
        return bytes(data).decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument("A form field is not in UTF-8.", ArgumentName="form") from error
