"""What is declared is done: a field of a request is read by the code of its operation, or says why it is not.

The code is followed with ``ast`` from the handler and from what asks for rights, through the functions that are handed
the request, or one of its groups.
"""

import ast
import functools
import inspect
import sys
from pathlib import Path

import pytest

from s3ish.api.catalogue import catalogue
from s3ish.api.operation import operation
from s3ish.api.shapes import BucketRequest
from s3ish.wire.fields import elsewhere, header, ignored
from s3ish.wire.shape import shape, wire

BUILT = [each for each in catalogue() if each.supported]
TAKEN_BY_THE_PIPELINE = {"label", "stream"}
"""Where a request goes, and the data that flows: handlers have them from their context too."""


@functools.cache
def tree(path):
    return ast.parse(Path(path).read_text())


def definition(function):
    """Return the node of a function, which may be one in another."""
    function = inspect.unwrap(function)
    line = function.__code__.co_firstlineno
    for node in ast.walk(tree(function.__code__.co_filename)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            lines = [node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]
            if line in lines:
                return node
    raise AssertionError(function)


def read_by(function, parameter, seen):
    """Return the fields that a function, and those to which it hands the parameter, read of it."""
    node = definition(function)
    if (node, parameter) in seen:
        return set()
    seen.add((node, parameter))
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and is_name(inner.value, parameter):
            found.add(inner.attr)
        elif isinstance(inner, ast.Call) and is_name(inner.func, "getattr") and is_name(inner.args[0], parameter):
            found.add(resolved(function, inner.args[1]))
        elif isinstance(inner, ast.Call):
            found |= read_by_called(function, inner, parameter, seen)
    return found


def read_by_called(function, call, parameter, seen):
    places = [index for index, given in enumerate(call.args) if is_name(given, parameter)]
    names = [given.arg for given in call.keywords if is_name(given.value, parameter)]
    called = resolved(function, call.func) if places or names else None
    called = getattr(called, "__func__", called)
    if inspect.isfunction(called) and "self" not in (parameters := list(inspect.signature(called).parameters)):
        places = [place + (parameters[:1] == ["cls"]) for place in places]
    if not inspect.isfunction(called):
        return set()
    found = (read_by(called, name, seen) for name in [*(parameters[place] for place in places), *names])
    return set().union(*found)


def resolved(function, expression):
    """Return what a name, or an attribute of a module, stands for in a function; None where it is a variable."""
    space = vars(sys.modules[function.__module__]) | inspect.getclosurevars(function).nonlocals
    if isinstance(expression, ast.Name):
        return space.get(expression.id)
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Name):
        return getattr(space.get(expression.value.id), expression.attr, None)
    return None


def is_name(node, name):
    return isinstance(node, ast.Name) and node.id == name


def unused(declared):
    """Return the fields of an operation's request that no code reads."""
    handler = inspect.unwrap(declared.handler)
    read = read_by(handler, list(inspect.signature(handler).parameters)[1], set())
    if declared.permits:
        read |= read_by(declared.permits, next(iter(inspect.signature(declared.permits).parameters)), set())
    for name in list(read):
        if inspect.isfunction(method := getattr(declared.request, name, None)):
            read |= read_by(method, "self", set())
    specs = wire(declared.request).specs
    wanted = {name for name, (spec, _) in specs.items() if spec.place not in TAKEN_BY_THE_PIPELINE}
    return wanted - read


@pytest.mark.parametrize("name", [each.name for each in BUILT])
def test_every_field_of_a_request_is_read(name):
    declared = next(each for each in BUILT if each.name == name)
    assert unused(declared) == set(), "read them, or declare them with ignored(...) or elsewhere(...)"


@shape
class _Request(BucketRequest):
    done: str | None = header("x-done")
    by_method: str | None = header("x-by-method")
    handed_on: str | None = header("x-handed-on")
    by_name: str | None = header("x-by-name")
    forgotten: str | None = header("x-forgotten")
    known = ignored("x-known", because="it is an example")
    taken = elsewhere("x-taken", where="by the test")

    def method(self) -> str | None:
        return self.by_method


NAME = "by_name"


class _Other:
    @classmethod
    def of(cls, given):
        return given.handed_on


@operation("GET /{Bucket}?example", action="s3:Example")
async def example(_, request: _Request) -> None:
    async def attempt():
        return request.done, request.method(), _Other.of(request), getattr(request, NAME)

    await attempt()


def test_a_field_that_no_code_reads_is_found():
    assert unused(example) == {"forgotten"}


def test_every_reason_says_something():
    for each in BUILT:
        for unread in wire(each.request).unread:
            assert bool(unread.because) != bool(unread.where)
