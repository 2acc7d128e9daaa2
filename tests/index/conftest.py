"""Indexes of each kind, on a file that the test throws away."""

import pytest

from s3ish.index.memory import MemoryIndex
from s3ish.index.protocol import Damaged, Layout
from s3ish.index.sqlite import SQLiteIndex

LAYOUTS = [
    Layout(name, long_values=name == "inline")
    for name in ("buckets", "versions", "current", "nulls", "inline", "uploads", "parts", "garbage", "state")
]


class Pairs:
    """Two numbers in a value, as text."""

    def numbers(self, key, value):
        if value is None:
            return (0, 0)
        try:
            return tuple(map(int, value.split(b",")))
        except ValueError:
            raise Damaged("not two numbers") from None

    def value(self, key, numbers):
        return b"%d,%d" % tuple(numbers)


LAYOUTS.append(Layout("sums", sums=Pairs()))
TABLES = [table.name for table in LAYOUTS]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.db"


@pytest.fixture
async def open_index(path):
    """A function that opens the SQLite index; another one on the same file if it is called again."""
    opened = []

    def make(where=path, tables=LAYOUTS):
        opened.append(SQLiteIndex(where, tables, durable=False))
        return opened[-1]

    yield make
    for index in opened:
        await index.close()


@pytest.fixture(params=["memory", "sqlite"])
def index(request, open_index):
    return MemoryIndex(LAYOUTS) if request.param == "memory" else open_index()
