"""What answers for a store: the parts that every server has in common, put together once.

What differs is handed in: how time and region are verified, plans of faults, access logs.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from s3ish.auth.authenticator import Authentication, Authenticator
from s3ish.auth.request import HttpRequest
from s3ish.auth.sessions import Sessions
from s3ish.auth.web_identity import Provider
from s3ish.clock import Clock
from s3ish.config import LimitsSettings, Settings
from s3ish.identity.providers import Providers
from s3ish.identity.registry import Registry
from s3ish.objects.outbox import Targets
from s3ish.objects.queues import Queues
from s3ish.objects.store import Store
from s3ish.observe.observer import Observer
from s3ish.server.access_log import AccessLog
from s3ish.server.accounts import Accounts
from s3ish.server.addresses import Addresses
from s3ish.server.admission import Admission, Bounds
from s3ish.server.faults import FaultPoints
from s3ish.server.pipeline import S3Application
from s3ish.server.proxies import Proxies
from s3ish.server.router import Router


def make_s3(
    settings: Settings,
    store: Store,
    registry: Registry,
    router: Router,
    observer: Observer,
    targets: Targets,
    *,
    by_machine_time: bool = False,
    access_log: AccessLog | None = None,
    faults: FaultPoints | None = None,
) -> S3Application:
    """Return the application that answers requests for a store.

    Args:
        registry: the users.
        targets: where notifications may go.
        by_machine_time: whether signatures in a header are of machine time, though the clock may have been set.
        access_log: where lines of buckets that log go.
        faults: what goes wrong on purpose.
    """
    server = settings.server
    sessions = Sessions(registry, settings.root_keys[1], store.clock.token)
    make = partial(_MachineTimed, clock=store.clock) if by_machine_time else Authenticator
    authenticator = make(
        registry, "" if server.any_region else server.region, signature_v2=settings.auth.signature_v2, sessions=sessions
    )
    return S3Application(
        store,
        router,
        authenticator,
        observer,
        domains=settings.domains,
        website_domains=server.website_domains,
        proxies=Proxies(server.trusted_proxies),
        accounts=Accounts(authenticator, registry, sessions, _providers(settings, store.clock), observer),
        addresses=Addresses(
            server.public_hosts, server.base_path.rstrip("/"), (*settings.domains, *server.website_domains)
        ),
        admission=_admission(settings.limits, store, observer),
        access_log=access_log,
        faults=faults,
        targets=Targets(targets.arns, (target.arn for target in settings.replication.targets)),
        queues=Queues(store, settings.notifications.backlog_events),
        cors_origins=server.cors_origins,
    )


def _providers(settings: Settings, clock: Clock) -> Providers:
    trusted = [Provider(it.issuer, it.audiences, it.jwks_url, it.algorithms) for it in settings.auth.oidc]
    return Providers(trusted, clock)


def _admission(limits: LimitsSettings, store: Store, observer: Observer) -> Admission | None:
    """Return what holds requests to limits; None if there are none."""
    bounds = Bounds(
        limits.requests,
        limits.uploads,
        limits.downloads,
        limits.user_requests,
        limits.user_uploads,
        limits.user_downloads,
        limits.user_requests_per_second,
        limits.user_burst,
        limits.body_bytes,
    )
    return None if bounds == Bounds() else Admission(bounds, store.clock.monotonic, observer.requests.limited)


class _MachineTimed(Authenticator):
    """Signatures in a header are of machine time, so that clients need not follow a clock that was set. Presigned URLs
    and sessions expire by service time, as everything does that tests move the clock for."""

    def __init__(self, *arguments: Any, clock: Clock, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self._clock = clock

    def identify(self, request: HttpRequest, now: datetime, others: Iterable[HttpRequest] = ()) -> Authentication:
        """See ``Authenticator.identify``."""
        return super().identify(request, self._clock.now() if "authorization" in request.headers else now, others)
