"""What documents say about the catalogue and the state table: tables of operations and rows, and counts.

``python -m tests.docs_counts --write`` writes them anew after one was added; ``test_docs.py`` fails until then.
"""

import ast
import re
import sys
import textwrap
from pathlib import Path

from s3ish.api.catalogue import catalogue, families
from s3ish.observe.metrics import Metrics, _Holdings
from s3ish.tables.state import STATE_ROWS, Mark
from s3ish.wire.shape import wire

ROOT = Path(__file__).parent.parent
REFERENCE = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_{}.html"
BLOCK = r"^   ```python\n   # (\S+)\n(.*?)^   ```$"
"""Code of a page, whose first line names the file that it is of."""
TABLE = r"(?<=\n## {}\n)((?:[^#\n].*\n|\n)*?\| ---.*\n)(?:\| .*\n)*"


def built_rows():
    """Return the rows of the operations that are built: with AWS's page, the request, the permissions."""
    rows = []
    for item in sorted((it for it in catalogue() if it.supported), key=lambda it: it.name):
        actions = [action for action in (item.action, item.version_action) if action]
        permissions = ", ".join(f"`{action}`" for action in dict.fromkeys(actions))
        rows.append(f"| [{item.name}]({REFERENCE.format(item.name)}) | `{item.route}` | {permissions} |\n")
    return "".join(rows)


def other_rows():
    """Return the rows of the operations that are not built."""
    others = sorted((it for it in catalogue() if not it.supported), key=lambda it: it.name)
    return "".join(f"| {item.name} | `{item.route}` | {_answer(item)} |\n" for item in others)


def _answer(item):
    return f"`501`: {item.because}" if item.because else "`501`"


def document_rows():
    """Return the rows of the configuration documents: what selects one, and what comes of it."""
    return "".join(f"| `{each.name}` | {each.effect.value} |\n" for each in sorted(families(), key=lambda it: it.name))


def idle():
    """Return why headers and query keys change nothing, by the operation and their name."""
    return {
        (item.name, name): unread.because
        for item in catalogue()
        if item.supported
        for unread in wire(item.request).unread
        if unread.because
        for name in unread.names
    }


def idle_rows():
    """Return the rows of what changes nothing: an operation, a name, the reason."""
    rows = sorted(((name, why, operation) for (operation, name), why in idle().items()))
    return "".join(f"| {operation} | `{name}` | {why} |\n" for name, why, operation in rows)


def state_rows():
    """Return the rows of what stands in the state table."""
    return "".join(
        f"| `{row.name}` | {'mark' if isinstance(row, Mark) else 'record'} | {row.holds} | "
        f"{', '.join(f'`{name}`' for name in row.writers)} |\n"
        for row in STATE_ROWS
    )


def metrics():
    """Return all metrics by name: the kind, the labels, and what they are."""
    shown = Metrics(shared=False)
    found = {}
    for metric in shown._registry._collector_to_names:
        name = metric._name + ("_total" if metric._type == "counter" else "")
        found[name] = metric._type, metric._labelnames, metric._documentation
    for family in _Holdings(()).collect():
        found[family.name] = family.type, family._labelnames, family.documentation
    return found


def metric_rows():
    """Return the rows of the metrics."""
    return "".join(
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {text} |\n"
        for name, (kind, labels, text) in sorted(metrics().items())
    )


def decision_rows():
    """Return the rows of the decisions, with the line below the head of their table."""
    titles = {page.name: page.read_text().partition("\n")[0] for page in (ROOT / "docs" / "decisions").iterdir()}
    rows = ([*title.removeprefix("# ").split(". ", 1), name] for name, title in sorted(titles.items()))
    return "| --- | --- |\n" + "".join(f"| {number} | [{title}](decisions/{name}) |\n" for number, title, name in rows)


def shown(found):
    """Return a block of code that shows what a file has, with what it defines as it is there now."""
    path, code = found[1], textwrap.dedent(re.sub("^   ", "", found[2], flags=re.M))
    source = (ROOT / path).read_text()
    there = dict(definitions(source))
    names = [name for name, _ in definitions(code)]
    if not there.keys() >= set(names):  # a line of something larger
        return found[0]
    code = "\n\n\n".join(there[name] for name in names) + "\n"
    return f"   ```python\n   # {path}\n{textwrap.indent(code, '   ')}   ```"


def definitions(source):
    """Yield the name and the text of each function, class and constant of a module, with decorators."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        name = getattr(node, "name", None) or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]))
        if name:
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            yield name, "\n".join(lines[first - 1 : node.end_lineno])


def pages():
    """Yield every page that tells of the catalogue or the state table, and its text as it should be."""
    total, built = len(catalogue()), sum(item.supported for item in catalogue())
    replacements = {
        "README.md": [(r"\d+ of the \d+ operations are built", f"{built} of the {total} operations are built")],
        "docs/operations.md": [
            (r"\d+ operations; \d+ are built", f"{total} operations; {built} are built"),
            (TABLE.format("Headers that change nothing"), lambda found: found[1] + idle_rows()),
            (TABLE.format("Configuration documents"), lambda found: found[1] + document_rows()),
            (TABLE.format("Built"), lambda found: found[1] + built_rows()),
            (TABLE.format("Not built yet"), lambda found: found[1] + other_rows()),
        ],
        "docs/metrics.md": [(TABLE.format("All metrics"), lambda found: found[1] + metric_rows())],
        "docs/formats.md": [
            (TABLE.replace("##", "###").format("Rows of state"), lambda found: found[1] + state_rows())
        ],
    }
    decisions = ROOT / "docs" / "decisions.md"
    yield decisions, decisions.read_text().partition("| ---")[0] + decision_rows()
    adding = ROOT / "docs" / "adding-an-operation.md"
    yield adding, re.sub(BLOCK, shown, adding.read_text(), flags=re.M | re.S)
    for name, changes in replacements.items():
        path = ROOT / name
        text = path.read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text)
            assert count == 1, f"{name} does not say {pattern}"
        yield path, text


if __name__ == "__main__":
    for path, text in pages():
        if path.read_text() != text:
            print(f"{path.relative_to(ROOT)} is out of date")
            if "--write" in sys.argv[1:]:
                path.write_text(text)
