"""What requests say of checksums beside their values: which algorithm, what it is taken of, whether it is wanted.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from s3ish.api.shapes import ALGORITHMS, CHECKSUM_TYPES
from s3ish.errors import InvalidRequest


def chosen_algorithm(text: str | None) -> str | None:
    """Return the algorithm that ``x-amz-checksum-algorithm`` names, in any case. Raises InvalidRequest."""
    if text is None:
        return None
    if text.upper() not in ALGORITHMS:
        raise InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            f"[{', '.join(ALGORITHMS)}]"
        )
    return text.upper()


def chosen_type(text: str | None) -> str | None:
    """Return the type that ``x-amz-checksum-type`` names, in any case. Raises InvalidRequest."""
    if text is None:
        return None
    if text.upper() not in CHECKSUM_TYPES:
        raise InvalidRequest("Value for x-amz-checksum-type header is invalid.")
    return text.upper()


def is_wanted(mode: str | None) -> bool:
    """Return whether ``x-amz-checksum-mode`` asks for the checksum in the answer. Raises InvalidRequest."""
    if mode is not None and mode.lower() != "enabled":
        raise InvalidRequest("Value for x-amz-checksum-mode header is invalid.")
    return mode is not None
