"""The access list of a version, for another s3ish; other servers know none of the users of this one.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html
"""

from collections.abc import Mapping
from xml.sax.saxutils import escape

from s3ish.auth.acl import canned
from s3ish.jobs.destination import Forbidden
from s3ish.model import Grant, Version
from s3ish.peers.client import Client, Content, check, element, md5_of

_TYPES = {"id": ("CanonicalUser", "ID"), "uri": ("Group", "URI")}
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


async def tell_access_list(client: Client, version: Version, mark: Mapping[str, str]) -> None:
    """Have a replica have the access list of its source.

    A bucket in which lists have no meaning takes none. Without the right to put lists a private one is left as it is.

    Args:
        mark: says that the request is about a replica.

    Raises Refused, Unreachable.
    """
    grants = version.attributes.acl or canned("private", version.owner, version.owner).grants
    shown = "".join(
        _grant(grant) for grant in grants if grant.grantee
    )  # the grant of a list that grants nothing has none
    owner = f"<Owner><ID>{escape(version.owner.id)}</ID></Owner>"
    document = f"<AccessControlPolicy>{owner}<AccessControlList>{shown}</AccessControlList></AccessControlPolicy>"
    sent = document.encode()
    headers = {**mark, "content-md5": md5_of(sent)}
    query = {"acl": "", "versionId": version.id}
    try:
        answer = await client.call("PUT", version.key, headers, query=query, content=Content.of(sent))
    except Forbidden:
        if version.attributes.acl:
            raise
        return
    if element(answer, "Code") != "AccessControlListNotSupported":
        check(answer)


def _grant(grant: Grant) -> str:
    kind, _, name = grant.grantee.partition("=")
    form, field = _TYPES[kind]
    grantee = f'<Grantee {_XSI} xsi:type="{form}"><{field}>{escape(name)}</{field}></Grantee>'
    return f"<Grant>{grantee}<Permission>{grant.permission}</Permission></Grant>"
