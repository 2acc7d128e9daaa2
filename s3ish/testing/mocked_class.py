"""A class of tests that has a server: from before what prepares the class until what clears up after it has ended."""

import contextlib
import inspect
import unittest
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from s3ish.testing.running import Running


class MockedClass:
    """What a class and its tests have; each test finds the server as what prepared the class has left it.

    Args:
        mock: a server to which AWS's environment leads while it lasts.
    """

    def __init__(self, mock: Callable[[], AbstractContextManager[Running]]) -> None:
        self._mock = mock
        self._servers: list[Running] = []
        self._tests: list[ExitStack] = []
        self._classes: list[ExitStack] = []

    def wrap(self, what: Any) -> None:
        """Let a class of unittest or pytest have it, and the classes of tests within."""
        what.s3ish_mocked = self
        if issubclass(what, unittest.TestCase):
            self._wrap_case(what)
            return
        self._wrap_plain(what)
        for name, value in list(vars(what).items()):
            if name.startswith("Test") and isinstance(value, type) and "s3ish_mocked" not in vars(value):
                MockedClass(self._mock).wrap(value)

    @contextlib.contextmanager
    def _of_class(self, cls: Any) -> Iterator[None]:
        if cls.s3ish_mocked is not self:  # it has a server of its own, and so has the class from which it inherits
            yield
            return
        with self._mock() as server:
            self._servers.append(server)
            try:
                yield
            finally:
                self._servers.pop()

    @contextlib.contextmanager
    def _of_test(self, cls: Any) -> Iterator[None]:
        if cls.s3ish_mocked is not self:
            yield
            return
        if not self._servers:  # the test is run by itself, without what prepares its class
            with self._mock():
                yield
            return
        server, before = self._servers[-1], f"before-a-test-{len(self._tests)}"
        server.snapshot(before)
        try:
            yield
        finally:
            server.reset(snapshot=before)

    def _wrap_case(self, what: type[unittest.TestCase]) -> None:
        prepare, run = inspect.getattr_static(what, "setUpClass").__func__, what.run

        def set_up_class(cls: type[unittest.TestCase]) -> None:
            with ExitStack() as stack:
                stack.enter_context(self._of_class(cls))
                cls.addClassCleanup(stack.pop_all().close)  # called after tearDownClass, and if setUpClass fails
            prepare(cls)

        def run_within(case: unittest.TestCase, *arguments: Any, **named: Any) -> Any:
            with self._of_test(type(case)):
                return run(case, *arguments, **named)

        what.setUpClass = classmethod(set_up_class)  # type: ignore[assignment]  # a class method as well
        what.run = run_within  # type: ignore[assignment, method-assign]  # of the same signature

    def _wrap_plain(self, what: Any) -> None:
        of_class, of_test = ("setup_class", "teardown_class"), ("setup_method", "teardown_method")
        set_up_class, tear_down_class = (_function(what, name) for name in of_class)
        set_up, tear_down = (_function(what, name) for name in of_test)

        def setup_class(cls: Any) -> None:
            _enter(self._classes, self._of_class(cls), lambda: _call(set_up_class, cls))

        def teardown_class(cls: Any) -> None:
            with _begun(self._classes):
                _call(tear_down_class, cls)

        def setup_method(self_: Any, method: Any) -> None:
            _enter(self._tests, self._of_test(type(self_)), lambda: _call(set_up, self_, method))

        def teardown_method(self_: Any, method: Any) -> None:
            with _begun(self._tests):
                _call(tear_down, self_, method)

        what.setup_class, what.teardown_class = classmethod(setup_class), classmethod(teardown_class)
        what.setup_method, what.teardown_method = setup_method, teardown_method


def _enter(begun: list[ExitStack], context: AbstractContextManager[None], prepare: Callable[[], None]) -> None:
    """Enter a context and prepare within it; it stays open, unless that fails."""
    with ExitStack() as stack:
        stack.enter_context(context)
        prepare()
        begun.append(stack.pop_all())


def _begun(stacks: list[ExitStack]) -> ExitStack:
    """Return what was entered last; nothing where a class below has what prepares it in place of that."""
    return stacks.pop() if stacks else ExitStack()


def is_fixture(what: Any) -> bool:
    """Whether something is a fixture of pytest, which need not be there."""
    return type(what).__name__ == "FixtureFunctionDefinition"


def _function(what: Any, name: str) -> Any:
    """Return what a class does before or after tests, as a function of what pytest calls it with.

    A fixture may have the name of such a function, and is none to pytest; it gets another one.
    """
    found = inspect.getattr_static(what, name, None)
    if is_fixture(found):
        setattr(what, f"fixture_{name}", found)
        return None
    return getattr(found, "__func__", found)


def _call(function: Any, *arguments: Any) -> None:
    """Call what pytest calls with the test or without."""
    if function:
        function(*arguments[: len(inspect.signature(function).parameters)])
