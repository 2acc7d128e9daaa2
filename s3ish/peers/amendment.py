"""What changes of a version after it was made, sent to the server that has a replica: its tags and its lock.

A lock never becomes looser by that: who may loosen it in one bucket may not be who may in the other.
"""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from s3ish.jobs.destination import Forbidden
from s3ish.model import Version
from s3ish.objects.lock import is_retained
from s3ish.outbound.http import Answer
from s3ish.peers.client import Client, Content, check, element, md5_of
from s3ish.wire.scalars import write_iso8601


async def amend(
    client: Client, version: Version, version_id: str, now_ns: int, headers: Mapping[str, str] | None = None
) -> bool:
    """Have a replica say what its source says; False if there is no such version.

    Args:
        version_id: that of the replica; empty for the newest version.
        now_ns: the time: a retention that has ended is left out.
        headers: further ones for each request.

    Raises Refused, Unreachable.
    """
    tags = "".join(
        f"<Tag><Key>{escape(tag.key)}</Key><Value>{escape(tag.value)}</Value></Tag>" for tag in version.attributes.tags
    )

    async def tell(what: str, document: str) -> Answer:
        sent = document.encode()
        given = {**(headers or {}), "content-md5": md5_of(sent)}
        query = {what: "", **({"versionId": version_id} if version_id else {})}
        return await client.call("PUT", version.key, given, query=query, content=Content.of(sent))

    answer = await tell("tagging", f"<Tagging><TagSet>{tags}</TagSet></Tagging>")
    if (
        answer.status in (404, 405) or element(answer, "Code") == "InvalidArgument"
    ):  # its id may be none of the server's
        return False
    check(answer)
    lock = version.attributes.lock
    if lock and lock.legal_hold:
        check(await tell("legal-hold", "<LegalHold><Status>ON</Status></LegalHold>"))
    if lock and is_retained(lock, now_ns):
        if lock.event_hold:
            unit, count = ("Years", lock.event_years) if lock.event_years else ("Days", lock.event_days)
            end = f"<EventHold>ON</EventHold><EventHoldDuration><{unit}>{count}</{unit}></EventHoldDuration>"
        else:
            end = f"<RetainUntilDate>{write_iso8601(lock.until_ns)}</RetainUntilDate>"
        try:
            check(await tell("retention", f"<Retention><Mode>{lock.mode}</Mode>{end}</Retention>"))
        except Forbidden as error:
            if "object protected by object lock" not in str(error):
                raise
    return True
