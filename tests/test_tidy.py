"""The house rules of ``docs/architecture.md``, read from the source with ``ast``."""

import ast
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

from s3ish.tables.catalogue import TABLES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "s3ish"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}

LEAVES = {"errors", "model", "clock", "threads", "batching", "buffers", "observe", "checksum", "shared_mark"}
ABOVE = {"engines", "config", "process", "http", "server", "jobs", "integrity"}
MAY_IMPORT = {
    "cli": ABOVE
    | {"app", "worlds", "config_sources", "dropin", "api", "objects", "auth", "wire", "tables", "index", "blob"}
    | {"outbound"}
    | LEAVES,
    "notifications": {"config", "jobs", "targets", "api", "objects"} | LEAVES,
    "answering": {"config", "server", "objects", "identity", "auth"} | LEAVES,
    "replication": {"config", "jobs", "peers", "api", "objects"} | LEAVES,
    "app": ABOVE
    | {"worlds", "answering", "notifications", "replication", "identity"}
    | {"api", "objects", "auth", "wire", "tables", "index", "blob"}
    | LEAVES,
    "seed": {"config", "server", "api", "auth", "objects", "wire"} | LEAVES,
    "worlds": ABOVE
    | {"answering", "notifications", "replication", "seed", "identity"}
    | {"api", "objects", "auth", "wire", "tables", "index", "blob"}
    | LEAVES,
    "testing": {"config", "worlds", "outbound", "process", "threads"},
    "pytest_plugin": {"testing"},
    "process": {
        "engines",
        "seed",
        "config",
        "integrity",
        "server",
        "http",
        "objects",
        "tables",
        "wire",
        "index",
        "blob",
    }
    | LEAVES,
    "engines": {"config", "objects", "select", "tables", "auth", "index", "blob"} | LEAVES,
    "__main__": {"cli"},
    "config": {"dropin"},
    "dropin": {"wire"},
    "config_texts": {"config", "wire"},
    "config_targets": {"config", "config_texts", "wire"},
    "config_sources": {"dropin", "auth", "config", "config_targets", "config_texts", "errors"},
    "identity": {"outbound", "objects", "auth", "tables", "index"} | LEAVES,
    "server": {"targets", "http", "api", "identity", "auth", "wire", "objects", "blob"} | LEAVES,
    "http": {"wire"} | LEAVES,
    "integrity": {"jobs", "objects", "tables", "index", "blob"} | LEAVES,
    "jobs": {"targets", "objects", "tables", "index"} | LEAVES,
    "api": {"objects", "select", "auth", "wire"} | LEAVES,
    "targets": {"outbound"} | LEAVES,
    "peers": {"outbound", "jobs", "objects", "auth", "wire", "tables"} | LEAVES,
    "outbound": LEAVES - {"errors", "model"},
    "objects": {"select", "tables", "index", "blob", "wire"} | LEAVES,
    "select": LEAVES - {"model"},
    "tables": {"index", "model"},
    "auth": {"wire"} | LEAVES,
    "wire": LEAVES,
    "index": LEAVES - {"errors", "model"},
    "blob": LEAVES - {"errors"},
    "errors": set(),
    "model": set(),
    "clock": set(),
    "threads": {"batching"},
    "batching": set(),
    "buffers": set(),
    "observe": {"batching", "clock", "threads"},
    "checksum": set(),
}
"""Which part of the package may import which; every part may import itself."""

DOORS = {
    "clock.py": {"time", "random", "secrets", "uuid"},
    "threads.py": {"threading.Thread", "concurrent.futures"},
}
"""Modules of the standard library that one file alone may import."""

MAKE_A_CLOCK = {"cli", "app", "worlds"}
"""What a process begins with."""

TAKE_TABLES = {"Put", "Delete", "RowIs", "RangeEmpty", "get", "scan", "peek", "encode", "decode", "decode_rows"}
"""What takes the name of a table."""

MAX_LINES = 600
MAX_FUNCTION_LINES = 70


def part(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(tree):
    """Yield every module that is imported, at the top or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_look_down_only(path):
    own = part(path)
    for name, line in imports(TREES[path]):
        if name.startswith("s3ish.") and not name.startswith("s3ish.__version__"):
            other = name.split(".")[1]
            assert other == own or other in MAY_IMPORT[own], f"line {line}: {own} must not import {other}"


def test_of_the_wire_auth_and_objects_know_scalars_alone():
    for path in SOURCES:
        if part(path) in ("auth", "objects"):
            found = {name for name, _ in imports(TREES[path]) if name.startswith("s3ish.wire.")}
            assert all(name.startswith("s3ish.wire.scalars") for name in found), path


@pytest.mark.parametrize("door", DOORS)
def test_time_ids_and_threads_have_one_door(door):
    for path in SOURCES:
        if str(path.relative_to(PACKAGE)) != door:
            found = {name for name, _ in imports(TREES[path])} & DOORS[door]
            assert not found, f"{path.relative_to(ROOT)} imports {found}"


def test_no_clock_or_thread_behind_the_doors():
    for path in SOURCES:
        if path.name in DOORS:
            continue
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Attribute):
                dotted = ast.unparse(node)
                assert dotted not in {
                    "datetime.now",
                    "datetime.utcnow",
                    "asyncio.to_thread",
                    "os.urandom",
                    "threading.Thread",
                }, path


def test_a_clock_is_made_by_the_composition_and_handed_down():
    """One that a part made for itself would not follow the time that was set, nor the seed of a simulation."""
    for path, tree in TREES.items():
        if part(path) not in MAKE_A_CLOCK:
            made = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and is_clock(node.func)]
            assert not made, f"{path.relative_to(ROOT)}, lines {made}"


def is_clock(function):
    return ast.unparse(function).split(".")[-1] == "Clock"


def test_sql_stays_in_one_file():
    """But for that of queries on objects, which have an engine of their own."""
    statement = re.compile(r"\b(SELECT .* FROM|INSERT INTO|DELETE FROM|CREATE TABLE)\b")
    for path in SOURCES:
        if (
            path.name not in {"sqlite.py", "sqlite_file.py", "postgresql.py"} and part(path) != "select"
        ):  # the index, another's tables
            assert not statement.search(path.read_text()), path


def test_tables_are_named_in_one_place():
    """Elsewhere they are objects: no name of a table is handed to an index, or stands in a change or an expectation."""
    names = {table.name for table in TABLES}
    for path, tree in TREES.items():
        if part(path) in ("tables", "index"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in TAKE_TABLES:
                found = [it.value for it in node.args if isinstance(it, ast.Constant) and it.value in names]
                assert not found, f"{path.relative_to(ROOT)}, line {node.lineno}: {found}"


def test_files_and_functions_fit():
    for path, tree in TREES.items():
        lines = path.read_text().count("\n")
        assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= MAX_FUNCTION_LINES, f"{path.relative_to(ROOT)}: {node.name} has {length} lines"


def test_answers_are_built_of_typed_fields():
    """``**`` of a call, and a dictionary of any values, would hide from mypy what an answer has; ``vars`` too."""
    for path in SOURCES:
        if part(path) != "api" or path.name == "catalogue.py":
            continue
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.Call):
                assert not any(each.arg is None and isinstance(each.value, ast.Call) for each in node.keywords), path
                if ast.unparse(node.func) == "vars":
                    assert ast.unparse(node) == "vars(self)", f"{path}: {ast.unparse(node)}"
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
                assert ast.unparse(node.returns) != "dict[str, Any]", f"{path}: {node.name}"


def test_no_catch_all_module():
    for path in SOURCES:
        assert not {"utils", "helpers", "manager", "common", "misc"} & set(path.with_suffix("").parts), path


def test_every_module_says_what_it_is():
    for path, tree in TREES.items():
        if path.name != "__init__.py":
            assert ast.get_docstring(tree), path


def test_public_functions_and_classes_have_docstrings():
    """A method whose class implements a protocol is described there; private names and nested functions are exempt."""
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            ):
                if isinstance(node, ast.ClassDef) and path.name == "errors.py":
                    continue
                assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name}"


def test_state_of_modules_does_not_change():
    """A module's dictionaries, lists and sets are constants: named in capitals, and never assigned to again."""
    for path, tree in TREES.items():
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)], path
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict | ast.List | ast.Set):
                for target in node.targets:
                    name = ast.unparse(target)
                    assert name.isupper() or name.startswith("__"), f"{path.relative_to(ROOT)}: {name}"


def test_nothing_is_left_for_later():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for name in names:
        if name.endswith((".py", ".md", ".toml", ".yaml", "Makefile", "Dockerfile")):
            path = ROOT / name
            if path.exists():
                assert not mark.search(path.read_text()), name


OBSCURE = {
    "anew": ("again, from scratch, rewritten", 43),
    "told": ("reported, logged, called, notified", 36),
    "tells? of": ("reports, describes, lists", 15),
    "whoever": ("any client that, the caller", 17),
    "nobody": ("no client, no process, no code", 17),
    "somebody": ("a client, another process, a caller", 5),
    "whatever": ("any, each, all that", 25),
    "nevertheless": ("still", 2),
    "in the making": ("that has not been committed", 1),
    "turned away": ("refused", 0),
    "brought to light": ("restored, found", 0),
}
"""Words that hide who does what: what to write instead, and how many still stand there. These numbers only fall."""


def prose(path):
    """Return what people read of a file: a page as it is, of code the comments and texts."""
    if path.suffix == ".md":
        return path.read_text()
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    texts = {"COMMENT", "STRING", "FSTRING_MIDDLE"}
    return "\n".join(token.string for token in tokens if tokenize.tok_name[token.type] in texts)


def test_words_that_hide_meaning_become_fewer():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(prose(path) for path in [*SOURCES, *pages])
    for word, (better, allowed) in OBSCURE.items():
        found = len(re.findall(rf"\b{word}\b", text, re.IGNORECASE))
        assert found <= allowed, f"{word!r} stands there {found} times, not {allowed}; write instead: {better}"
