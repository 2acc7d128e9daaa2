"""What a call of AssumeRole or a token passes on to its session beside rights: tags, and who is behind it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
"""

import re
from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from s3ish.auth.condition_keys import tags_given
from s3ish.auth.web_identity import Claims
from s3ish.errors import AccessDenied, InvalidInput, ValidationError
from s3ish.identity.names import check_tags
from s3ish.identity.records import Pairs
from s3ish.server.query_call import Call

_NO_IDENTITY = "SourceIdentity must have 2 to 64 letters, digits and characters of +=,.@-_"
_IDENTITY = re.compile(r"(?!aws:)[\w+=,.@-]{2,64}", re.ASCII)


class PassedOn(Struct, frozen=True):
    """The tags of a session, the keys of those that sessions which it asks for have too, and who is behind it."""

    tags: Pairs = ()
    transitive: tuple[str, ...] = ()
    identity: str = ""

    @property
    def actions(self) -> Iterator[str]:
        """The actions that it takes beside AssumeRole itself."""
        if self.tags:
            yield "sts:TagSession"
        if self.identity:
            yield "sts:SetSourceIdentity"

    @property
    def keys(self) -> Pairs:
        """What conditions may ask of it."""
        going_on = [key for key, _ in self.tags if key.lower() in self.transitive]  # as they were written
        said = tags_given(self.tags) + tuple(("sts:transitivetagkeys", key) for key in going_on)
        return (*said, ("sts:sourceidentity", self.identity)) if self.identity else said


def passed_on(call: Call) -> PassedOn:
    """Return what a call passes on, and what the session that makes it had to pass on itself.

    Raises:
        ValidationError, InvalidInput, LimitExceeded: a tag or the identity is none.
        AccessDenied: the caller has an identity already, and names another one.
    """
    caller = call.principal
    tags, asked = check_tags(call.tags()), call.members("TransitiveTagKeys")
    named = _check_transitive(asked, tags)
    kept = tuple((key, value) for key, value in caller.tags if key.lower() in caller.transitive)
    if taken := [key for key, _ in kept if key.lower() in named]:
        raise InvalidInput(f"The tag {taken[0][:128]} is a transitive one of the calling session, which stays.")
    return PassedOn(
        tags=kept + tags,
        transitive=tuple(dict.fromkeys((*caller.transitive, *(key.lower() for key in asked)))),
        identity=_identity_of(call),
    )


def passed_by_token(claims: Claims) -> PassedOn:
    """Return what the token of an identity provider passes on to the session that it opens.

    Raises:
        ValidationError, InvalidInput, LimitExceeded: a tag or the identity is none.
    """
    tags = check_tags(claims.tags)
    _check_transitive(claims.transitive, tags)
    if claims.identity and not _IDENTITY.fullmatch(claims.identity):
        raise ValidationError(_NO_IDENTITY)
    return PassedOn(tags, tuple(dict.fromkeys(key.lower() for key in claims.transitive)), claims.identity)


def _check_transitive(asked: Sequence[str], tags: Pairs) -> Collection[str]:
    """Return the keys of tags in lower case, if those that are to go on are among them. Raises InvalidInput."""
    named = {key.lower() for key, _ in tags}
    if missing := [key for key in asked if key.lower() not in named]:
        raise InvalidInput(f"The transitive tag key {missing[0][:128]} is not among the tags of the request.")
    return named


def _identity_of(call: Call) -> str:
    """Return who is to be behind a session; empty where that is not said."""
    given, before = call.parameters.get("SourceIdentity"), call.principal.source_identity
    if given is None:
        return before
    if not _IDENTITY.fullmatch(given):
        raise ValidationError(_NO_IDENTITY)
    if before and given != before:
        raise AccessDenied(f"The source identity of the session is {before}, and cannot be changed.")
    return given
