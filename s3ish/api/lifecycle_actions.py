"""What a lifecycle rule does and when: the actions, and what must hold between them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""

from collections.abc import Sequence
from itertools import pairwise

from s3ish.errors import InvalidArgument, InvalidRequest, MalformedXML
from s3ish.objects.lifecycle import CLASSES
from s3ish.wire.fields import element
from s3ish.wire.scalars import Instant
from s3ish.wire.shape import shape

MAX_DAYS = 2**31 - 1
MAX_NEWER_VERSIONS = 100
_KEPT_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30}
"""How old an object must be for a class, and how long it must stay there before a rule takes it on."""
_DAY_NS = 86_400 * 10**9
_YEAR_10000_NS = 253_402_300_800 * 10**9


@shape
class Expiration:
    """When current versions go: after days, at a date, or delete markers that stand alone."""

    date: Instant | None = element("Date")
    days: int | None = element("Days")
    marker: bool | None = element("ExpiredObjectDeleteMarker")


@shape
class Transition:
    """When current versions go to another class."""

    date: Instant | None = element("Date")
    days: int | None = element("Days")
    storage_class: str = element("StorageClass", default=..., choices=CLASSES)


@shape
class NoncurrentExpiration:
    """When noncurrent versions go, but for some of the newest."""

    days: int = element("NoncurrentDays", default=...)
    newer_versions: int | None = element("NewerNoncurrentVersions")


@shape
class NoncurrentTransition:
    """When noncurrent versions go to another class, but for some of the newest."""

    days: int = element("NoncurrentDays", default=...)
    storage_class: str = element("StorageClass", default=..., choices=CLASSES)
    newer_versions: int | None = element("NewerNoncurrentVersions")


@shape
class AbortUploads:
    """When uploads are aborted that were not completed."""

    days: int = element("DaysAfterInitiation", default=...)


def check_days(days: int, what: str, *, least: int) -> None:
    """Check a number of days, ``what`` being how S3 calls them. Raises InvalidArgument, MalformedXML."""
    if days > MAX_DAYS:
        raise MalformedXML
    if days < least:
        wanted = "must be a positive integer" if least == 1 else "must be nonnegative"
        raise InvalidArgument(f"{what} {wanted}", ArgumentName=what.split("'")[1], ArgumentValue=str(days))


def check_expiration(expiration: Expiration | None) -> None:
    """Check when current versions go. Raises MalformedXML, InvalidArgument."""
    if expiration is None:
        return
    given = (expiration.date, expiration.days, expiration.marker)
    if sum(value is not None for value in given) != 1:
        raise MalformedXML
    if expiration.days is not None:
        check_days(expiration.days, "'Days' for Expiration action", least=1)
    if expiration.date is not None:
        _check_date(expiration.date)


def _check_date(date: int) -> None:
    if date % _DAY_NS or date >= _YEAR_10000_NS:
        raise InvalidArgument("'Date' must be at midnight GMT", ArgumentName="Date")


def check_transitions(transitions: Sequence[Transition], expiration: Expiration | None, rule: str) -> None:
    """Check when current versions go to which class; ``rule`` is what S3 calls the rule.

    Raises:
        MalformedXML, InvalidArgument, InvalidRequest: a date or a number of days cannot be, or not beside another.
    """
    for transition in transitions:
        if transition.date is not None and transition.days is not None:
            raise MalformedXML
        if transition.date is not None:
            _check_date(transition.date)
        elif transition.days is not None:
            check_days(transition.days, "'Days' in Transition action", least=0)
            _check_age(transition.days, transition.storage_class, "'Days' in Transition action")
        else:
            raise InvalidArgument("'Transition' action must specify either 'Days' or 'Date'")
    dated = {transition.date is not None for transition in transitions}
    if len(dated) > 1:
        raise InvalidRequest(f"Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for {rule}")
    ends = () if expiration is None else ((expiration.date, True), (expiration.days, False))
    end = next(((at, is_date) for at, is_date in ends if at is not None), None)
    if end and dated - {end[1]}:
        raise InvalidRequest(
            f"Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for {rule}"
        )
    unit = "Date" if True in dated else "Days"
    times = [
        (transition.storage_class, transition.days if transition.date is None else transition.date)
        for transition in transitions
    ]
    _check_order([(name, at or 0) for name, at in times], "Transition", unit, rule)
    if end and any((at or 0) >= end[0] for _, at in times):
        raise InvalidArgument(
            f"'{unit}' in the Expiration action for {rule} must be greater than '{unit}' in the Transition action"
        )


def check_noncurrent(
    transitions: Sequence[NoncurrentTransition], expiration: NoncurrentExpiration | None, rule: str
) -> None:
    """Check when noncurrent versions go; see ``check_transitions``."""
    for transition in transitions:
        what = "'NoncurrentDays' in NoncurrentVersionTransition action"
        check_days(transition.days, what, least=0)
        _check_age(transition.days, transition.storage_class, what)
        _check_newer(transition.newer_versions, "NoncurrentVersionTransition")
    if expiration:
        check_days(expiration.days, "'NoncurrentDays' for NoncurrentVersionExpiration action", least=1)
        _check_newer(expiration.newer_versions, "NoncurrentVersionExpiration")
    times = [(transition.storage_class, transition.days) for transition in transitions]
    _check_order(times, "NoncurrentVersionTransition", "NoncurrentDays", rule)
    if expiration and any(days >= expiration.days for _, days in times):
        raise InvalidArgument(
            f"'NoncurrentDays' in the NoncurrentVersionExpiration action for {rule} must be greater than "
            "'NoncurrentDays' in the NoncurrentVersionTransition action"
        )


def _check_age(days: int, storage_class: str, what: str) -> None:
    least = _KEPT_DAYS.get(storage_class, 0)
    if days < least:
        raise InvalidArgument(
            f"{what} must be greater than or equal to {least} for storageClass '{storage_class}'",
            ArgumentName=what.split("'")[1],
            ArgumentValue=str(days),
        )


def _check_newer(count: int | None, action: str) -> None:
    if count is not None and not 1 <= count <= MAX_NEWER_VERSIONS:
        raise InvalidArgument(
            f"'NewerNoncurrentVersions' for {action} action must be between 1 and {MAX_NEWER_VERSIONS}",
            ArgumentName="NewerNoncurrentVersions",
            ArgumentValue=str(count),
        )


def _check_order(times: Sequence[tuple[str, int]], action: str, unit: str, rule: str) -> None:
    """Check that each class is named once, and later than those before it. Raises InvalidRequest, InvalidArgument."""
    if len({name for name, _ in times}) < len(times):
        raise InvalidRequest(f"'StorageClass' must be different for '{action}' actions in same 'Rule' with {rule}")
    ordered = sorted(times, key=lambda item: CLASSES.index(item[0]))
    for (before, earlier), (after, later) in pairwise(ordered):
        if later <= earlier:
            raise InvalidArgument(
                f"'{unit}' in the {action} action for StorageClass '{after}' for {rule} must be greater than '{unit}' "
                f"in the {action} action for StorageClass '{before}' for {rule}"
            )
        stay = 0 if unit == "Date" else _KEPT_DAYS.get(before, 0)
        if later - earlier < stay:
            raise InvalidArgument(
                f"'{unit}' in the '{action}' action for StorageClass '{after}' for {rule} must be {stay} days more "
                f"than {rule} in the '{action}' action for StorageClass '{before}'"
            )
