"""What a child process is asked: a query, how the object is written, and how the answer is to be."""

from msgspec import Struct


class Csv(Struct, frozen=True):
    """CSV, as input or output: the texts that end a record and a field, quote, and escape a quote.

    ``header`` is what the first record of an input is for: NONE, IGNORE or USE. ``quoted_records`` tells whether a
    quoted field may hold the end of a record, ``always`` whether every field of an output is quoted.
    """

    record: str = "\n"
    field: str = ","
    quote: str = '"'
    escape: str = '"'
    comment: str = "#"
    header: str = "NONE"
    quoted_records: bool = False
    always: bool = False

    @property
    def end(self) -> bytes:
        """What ends records once ends that are other characters are ``swapped``."""
        return b"\r\n" if self.record == "\r\n" else b"\n"

    @property
    def swapped(self) -> str:
        """What ends records in place of the ends of lines, which the engine alone knows; empty if they do."""
        return "" if self.record in ("\n", "\r\n") else self.record


class Json(Struct, frozen=True):
    """JSON: ``lines`` of an input, ``record`` what ends each record of an output."""

    lines: bool = True
    record: str = "\n"


class Task(Struct, frozen=True):
    """One query.

    ``csv`` or ``json`` says what the object is; it is Parquet if neither does. ``size`` is the number of bytes that
    come, ``packed`` by what they are compressed: nothing, GZIP or BZIP2. Of a part of an object ``skip`` tells that its
    first bytes are of a record that is not wanted, and ``stop`` after how many bytes no record may begin. ``head`` is
    then the begin of the object, which has its header. ``seconds`` and ``memory_mib`` are limits. ``filler`` is a text
    that nothing in the object can be expected to be. Of Parquet the groups of rows are wanted that begin from byte
    ``first`` on and before ``stop``.
    """

    expression: str
    csv: Csv | None
    json: Json | None
    csv_out: Csv | None
    json_out: Json | None
    size: int
    now: str
    seconds: float
    memory_mib: int
    filler: str = ""
    packed: str = "NONE"
    first: int = 0
    skip: bool = False
    stop: int | None = None
    head: int = 0
