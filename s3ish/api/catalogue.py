"""The catalogue: every S3 operation, built or not, found where it is declared.

A module of ``s3ish.api`` adds an operation by declaring it: with ``@operation``, as a family of ``documents.py``, or
with ``unsupported`` until it is built. There is no list to keep.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from s3ish import api
from s3ish.api.documents import Documents
from s3ish.api.operation import Operation


def _values_in(package: ModuleType) -> Iterator[object]:
    """Yield all values of the modules of a package, in the order of the modules' names."""
    for found in sorted(iter_modules(package.__path__, f"{package.__name__}."), key=lambda found: found.name):
        if found.name != __name__:
            yield from vars(import_module(found.name)).values()


def declared_in(package: ModuleType) -> Iterator[Operation]:
    """Yield the operations that the modules of a package declare, in the order of the modules' names.

    What one module takes from another is yielded twice.
    """
    for value in _values_in(package):
        declared = value.operations if isinstance(value, Documents) else value
        for each in declared if isinstance(declared, tuple) else (declared,):
            if isinstance(each, Operation):
                yield each


_OPERATIONS = tuple(dict.fromkeys(declared_in(api)))


def catalogue() -> tuple[Operation, ...]:
    """Return all operations, those that are not built too."""
    return _OPERATIONS


def families() -> tuple[Documents[Any], ...]:
    """Return the families of configuration documents."""
    return tuple(dict.fromkeys(value for value in _values_in(api) if isinstance(value, Documents)))
