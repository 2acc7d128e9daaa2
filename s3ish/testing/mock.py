"""Code under test that finds a server by AWS's environment, without a change."""

import contextlib
import functools
import inspect
import os
import unittest
from collections.abc import Iterator
from typing import Any, TypeVar

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


@contextlib.contextmanager
def _mocked(server: Server) -> Iterator[Server]:
    others = (*_OTHERS, *(name for name in os.environ if name.startswith(_OF_SERVICES)))
    before = {name: os.environ.get(name) for name in (*server.environment, *others, *_NO_PROXY)}
    for name in others:
        os.environ.pop(name, None)
    direct = next((f"{hosts},127.0.0.1" for name in _NO_PROXY if (hosts := before[name])), "127.0.0.1")
    os.environ.update(server.environment | dict.fromkeys(_NO_PROXY, direct))
    try:
        yield server
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Mock:
    """See ``mock_s3``."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._stack: contextlib.ExitStack | None = None

    def __enter__(self) -> Server:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(_mocked(stack.enter_context(Server(**self._options))))
            self._stack = stack.pop_all()
        return server

    def __exit__(self, *_: object) -> None:
        if self._stack:
            self._stack.close()

    def _within_class(self, what: Any) -> None:
        """Let each test of a class have a server of its own, in what prepares it and clears up after it too."""
        if issubclass(what, unittest.TestCase):
            what.run = self(what.run)
        elif hasattr(what, "setup_method"):
            _prepare_within(what, self._options)
        else:
            for name, value in list(vars(what).items()):
                if name.startswith("test") and inspect.isfunction(value):
                    setattr(what, name, self(value))

    def __call__(self, what: T) -> T:
        """Return a function that has a server of its own each time, or a class each of whose tests has one."""
        wrapped: Any = what
        if isinstance(what, type):
            self._within_class(what)
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


def _prepare_within(what: Any, options: dict[str, Any]) -> None:
    """Let a class of pytest have a server from before ``setup_method`` until ``teardown_method`` has ended."""
    prepare, clear_up = what.setup_method, getattr(what, "teardown_method", lambda _: None)
    begun = contextlib.ExitStack()

    def setup_method(self: Any, method: Any) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_Mock(options))
            _call(prepare, self, method)
            begun.push(stack.pop_all())

    def teardown_method(self: Any, method: Any) -> None:
        with begun:
            _call(clear_up, self, method)

    what.setup_method, what.teardown_method = setup_method, teardown_method


def _call(of_class: Any, instance: Any, method: Any) -> None:
    """Call what pytest calls with the test or without."""
    of_class(*(instance, method)[: len(inspect.signature(of_class).parameters)])


def mock_s3(what: Any = None, /, **options: Any) -> Any:
    """Run code with AWS's environment leading to a server of its own.

    ``with mock_s3() as server:``, or ``@mock_s3`` and ``@mock_s3(buckets=("made",))`` on a function, a coroutine
    function, a generator of either kind (a fixture) or a class of tests. Clients that are made within come to it
    without a change of the code. Of a class, ``setUp`` or ``setup_method`` has the server of its test; ``setUpClass``
    has none.

    Args:
        what: what is decorated.
        options: see ``Server``.
    """
    mock = _Mock(options)
    return mock if what is None else mock(what)
