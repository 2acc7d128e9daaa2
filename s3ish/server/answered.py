"""What became of a call that is not one of S3."""

from msgspec import Struct

from s3ish.auth.principals import ANONYMOUS, Principal
from s3ish.errors import S3Error
from s3ish.wire.shape import Written


class Answered(Struct):
    """What became of a call: its action, as far as it is known, who made it, why it was refused, and the answer."""

    written: Written
    action: str = ""
    principal: Principal = ANONYMOUS
    error: S3Error | None = None
