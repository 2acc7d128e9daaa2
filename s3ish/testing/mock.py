"""Code under test that finds a server by AWS's environment, without a change."""

import contextlib
import functools
import inspect
import os
from collections.abc import Iterator
from typing import Any, TypeVar

from s3ish.testing.server import Server

T = TypeVar("T")

_OTHERS = ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
"""Variables that would lead a client elsewhere."""


@contextlib.contextmanager
def _mocked(server: Server) -> Iterator[Server]:
    before = {name: os.environ.get(name) for name in (*server.environment, *_OTHERS)}
    for name in _OTHERS:
        os.environ.pop(name, None)
    os.environ.update(server.environment)
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

    def __call__(self, what: T) -> T:
        """Return a function that has a server of its own each time, or a class each of whose tests has one."""
        wrapped: Any = what
        if isinstance(what, type):
            for name, value in list(vars(what).items()):
                if name.startswith("test") and inspect.isfunction(value):
                    setattr(what, name, self(value))
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

    ``with mock_s3() as server:``, or ``@mock_s3`` and ``@mock_s3(buckets=("made",))`` on a function, a coroutine
    function, a generator of either kind (a fixture) or a class of tests. Clients that are made within come to it
    without a change of the code.

    Args:
        what: what is decorated.
        options: see ``Server``.
    """
    mock = _Mock(options)
    return mock if what is None else mock(what)
