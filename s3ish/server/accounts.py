"""What answers beside S3 for users and their rights: the query APIs of STS and IAM, and the admin API."""

from s3ish.auth.authenticator import Authenticator
from s3ish.auth.sessions import Sessions
from s3ish.identity.providers import Providers
from s3ish.identity.registry import Registry
from s3ish.observe.observer import Observer
from s3ish.server import query_api
from s3ish.server.admin.api import AdminApi
from s3ish.server.admin.routes import PREFIX
from s3ish.server.answered import Answered
from s3ish.server.body import Receive, RequestBody
from s3ish.server.query_api import QueryApi
from s3ish.server.request_record import RequestRecord

_BELOW = f"{PREFIX}/"


class Accounts:
    """Answers requests that are about users.

    Args:
        authenticator: who a request is from.
        registry: the users.
        sessions: what issues temporary credentials.
        providers: who is behind a token of an identity provider.
        observer: which knows what was refused.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        registry: Registry,
        sessions: Sessions,
        providers: Providers,
        observer: Observer,
    ) -> None:
        self.registry = registry
        self._query = QueryApi(authenticator, registry, sessions, providers)
        self._admin = AdminApi(authenticator, registry, observer)

    async def answer(self, call: RequestRecord, receive: Receive) -> Answered | None:
        """Answer a request whose host and path name no bucket; None if it is for S3."""
        administers = is_administrative(call.path)
        if not (administers or query_api.is_asked(call.method, call.headers)):
            return None
        body = call.body = RequestBody(receive, call.headers, call.appetite)
        store = self.registry.store
        circumstances = call.circumstances(store.clock.service_now(), call.headers, region=store.region)
        if administers:
            answered = await self._admin.answer(body, call.request(), call.path, circumstances, call.request_id)
        else:
            answered = await self._query.answer(body, call.request(), circumstances, call.request_id)
        call.action, call.principal = answered.action, answered.principal
        if answered.error is not None:
            call.error, call.reason = answered.error.code, answered.error.reason
        return answered


def is_administrative(raw_path: str) -> bool:
    """Whether a path is of the admin API, where the host names no bucket."""
    return raw_path.startswith(_BELOW)
