"""Code under test that finds a server by AWS's environment, without a change."""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Iterator
from threading import RLock
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from s3ish.process.serve import CannotListen
from s3ish.testing.mocked_class import MockedClass, is_fixture
from s3ish.testing.running import Running
from s3ish.testing.server import Server

T = TypeVar("T")

_OTHERS = (
    *("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    *("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_USE_FIPS_ENDPOINT"),
)
"""Variables that would lead a client elsewhere."""
_OF_SERVICES = "AWS_ENDPOINT_URL_"
"""How variables begin that lead clients of one service elsewhere; the server answers for several."""
_NO_PROXY = ("no_proxy", "NO_PROXY")
"""Hosts for which clients use no proxy; the first that is set counts."""


_PORTS = range(15_000, 30_000)
"""Where servers of mocks listen: below the ports that systems give to clients."""


def _served(options: dict[str, Any]) -> Server:
    """Return a server that serves, on the port of the last one of this process if that is free.

    So clients that code under test keeps (a global, a cached function, a storage of Django) come to it in the next
    mock too.
    """
    if not options.get("port"):
        with contextlib.suppress(CannotListen):  # of a mock around this one, or of another process
            return Server(**options | {"port": _PORTS[os.getpid() % len(_PORTS)]}).start()
    return Server(**options).start()


class _Before(Struct):
    """What there was before a mock: variables, and the session of boto3, which keeps the keys that it has found."""

    variables: dict[str, str | None]
    session: Any


_lasting: list[_Before] = []
"""Of each mock that lasts, the oldest first. Those of coroutines end in any order."""
_changes = RLock()


@contextlib.contextmanager
def leading_to(server: Running) -> Iterator[None]:
    """Let AWS's environment lead clients that are made within to a server."""
    with _changes:
        before = _Before(_lead_to(server), getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None))
        _forget(None)
        _lasting.append(before)
    try:
        yield
    finally:
        with _changes:
            _come_back(before)


def _lead_to(server: Running) -> dict[str, str | None]:
    """Set AWS's variables; return what they were."""
    host = urlsplit(server.endpoint).hostname or ""
    others = (*_OTHERS, *(name for name in os.environ if name.startswith(_OF_SERVICES)))
    before = {name: os.environ.get(name) for name in (*server.environment, *others, *_NO_PROXY)}
    for name in others:
        os.environ.pop(name, None)
    direct = next((f"{hosts},{host}" for name in _NO_PROXY if (hosts := before[name])), host)
    os.environ.update(server.environment | dict.fromkeys(_NO_PROXY, direct))
    return before


def _come_back(before: _Before) -> None:
    """End a mock: all is as it was before it, unless a later one lasts, which comes back to that instead."""
    at = next(number for number, each in enumerate(_lasting) if each is before)
    del _lasting[at]
    if at < len(_lasting):
        _lasting[at].variables.update(before.variables)
        _lasting[at].session = before.session
        return
    for name, value in before.variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _forget(before.session)


def _forget(session: Any) -> None:
    """Let libraries forget what they keep, such as s3fs listings, and boto3 go on with a session, or a new one."""
    if boto3 := sys.modules.get("boto3"):
        vars(boto3)["DEFAULT_SESSION"] = session
    if s3fs := sys.modules.get("s3fs"):
        s3fs.S3FileSystem.clear_instance_cache()


class _Mock:
    """See ``mock_s3``."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._begun: list[contextlib.ExitStack] = []

    def __enter__(self) -> Server:
        with contextlib.ExitStack() as stack:
            server = _served(self._options)
            stack.callback(server.stop)
            stack.enter_context(leading_to(server))
            self._begun.append(stack.pop_all())
        return server

    def __exit__(self, *_: object) -> None:
        self._begun.pop().close()

    async def __aenter__(self) -> Server:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __call__(self, what: T) -> T:
        """Return a function that has a server of its own each time, or a class that has one. Raises TypeError."""
        wrapped: Any = what
        if not callable(what):
            raise TypeError('options have names: mock_s3(buckets=("made",))')
        if is_fixture(what):
            raise TypeError("a fixture is mocked before it is one: @pytest.fixture is the line above @mock_s3")
        if isinstance(what, type):
            MockedClass(lambda: _Mock(self._options)).wrap(what)
            return what
        options = self._options
        if inspect.iscoroutinefunction(what):

            @functools.wraps(wrapped)
            async def within_async(*arguments: Any, **named: Any) -> Any:
                with _Mock(options):
                    return await wrapped(*arguments, **named)

            return within_async  # type: ignore[return-value]  # of the same signature

        if inspect.isgeneratorfunction(what):  # a fixture, which goes on when its test has ended

            @functools.wraps(wrapped)
            def within_generator(*arguments: Any, **named: Any) -> Any:
                with _Mock(options):
                    yield from wrapped(*arguments, **named)

            return within_generator  # type: ignore[return-value]  # of the same signature

        if inspect.isasyncgenfunction(what):

            @functools.wraps(wrapped)
            async def within_async_generator(*arguments: Any, **named: Any) -> Any:
                with _Mock(options):
                    async with contextlib.aclosing(wrapped(*arguments, **named)) as given:
                        async for value in given:
                            yield value

            return within_async_generator  # type: ignore[return-value]  # of the same signature

        @functools.wraps(wrapped)
        def within(*arguments: Any, **named: Any) -> Any:
            with _Mock(options):
                return wrapped(*arguments, **named)

        return within  # type: ignore[return-value]  # of the same signature


def mock_s3(what: Any = None, /, **options: Any) -> Any:
    """Run code with AWS's environment leading to a server of its own.

    ``with mock_s3() as server:`` (``async with`` is the same), or ``@mock_s3`` and ``@mock_s3(buckets=("made",))`` on a
    function, a coroutine function, a generator of either kind (a fixture) or a class of tests. Clients that are made
    within come to it without a change of the code, and those that are kept from an earlier mock of the process. A class
    has one server, also in ``setUpClass``, ``setup_class`` and fixtures within; after each test it is as it was before.
    The environment is that of the process: threads share it.

    Args:
        what: what is decorated.
        options: see ``Server``.

    Raises TypeError: nothing of these is decorated.
    """
    mock = _Mock(options)
    return mock if what is None else mock(what)
