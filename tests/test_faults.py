"""The table of faults and attacks in docs/faults.md, held against the tests.

A test names the cases that it covers in a comment: ``# case 12`` or ``# cases 3, 4``, on its own line before the test,
or anywhere within it. ``python tests/test_faults.py`` writes the names of the tests into the table anew.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"
CASES = range(1, 168)
COMMENT = re.compile(r"#.*?\bcases? (\d+(?:(?:, (?:case )?| to | and )\d+)*)")
ROW = re.compile(r"\| (\d+) \| (.+?) \| (.+?) \|")


def numbers(text):
    """Return the numbers that a comment names."""
    found = set()
    for matched in COMMENT.finditer(text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", matched[1]):
            found.update(range(int(first), int(last or first) + 1))
    return found


def functions(tree):
    """Return first line (decorators included), last line and name of all functions that are no part of another."""
    found = []

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = [child.lineno, *(decorator.lineno for decorator in child.decorator_list)]
                found.append((min(lines), child.end_lineno, child.name))
            elif isinstance(child, ast.ClassDef):
                visit(child)

    visit(tree)
    return sorted(found)


def claims():
    """Return which tests claim each case, as ``path::name``."""
    found = {}
    for path in sorted(TESTS.rglob("*.py")):
        if path == Path(__file__):
            continue
        text = path.read_text()
        if "# case" not in text:
            continue
        places = functions(ast.parse(text))
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.COMMENT:
                continue
            line = token.start[0]
            within = [name for first, last, name in places if first <= line <= last]
            behind = [name for first, _, name in places if first > line and name.startswith("test_")]
            name = (within or behind)[0]
            for number in numbers(token.string):
                found.setdefault(number, {})[f"{path.relative_to(TESTS)}::{name}"] = None
    return {number: list(names) for number, names in found.items()}


def table():
    """Return description and state of each case in the page."""
    return {int(row[1]): (row[2], row[3]) for row in map(ROW.fullmatch, PAGE.read_text().splitlines()) if row}


def written(names):
    """Return how the page names tests: by file."""
    files = {}
    for name in names:
        path, _, test = name.partition("::")
        files.setdefault(path, []).append(f"`{test}`")
    return "; ".join(f"{path}: {', '.join(tests)}" for path, tests in files.items())


def counts(covered, absent, missing):
    """Return the sentence that sums the table up."""
    return (
        f"{covered} of the {len(CASES)} cases are covered by tests, {absent} are about what is not built yet, "
        f"{missing} are open."
    )


def test_every_case_stands_in_the_table_once():
    rows = [ROW.fullmatch(line) for line in PAGE.read_text().splitlines() if re.match(r"\| \d", line)]
    assert all(rows)
    assert [int(row[1]) for row in rows] == list(CASES)


def test_the_tests_that_the_table_names_are_those_that_claim_the_case():
    claimed = claims()
    assert set(claimed) <= set(CASES)
    for number, (_, state) in table().items():
        if number in claimed:
            assert state == written(claimed[number]), f"case {number}; run: python tests/test_faults.py"
        else:
            assert re.match(r"(open|not built): \S", state), f"case {number} is covered by no test"


def test_the_page_counts_right():
    states = [state.partition(":")[0] for _, state in table().values()]
    absent, missing = states.count("not built"), states.count("open")
    covered = len(states) - absent - missing
    assert counts(covered, absent, missing) in PAGE.read_text()


def write():
    """Write the names of the tests, and the counts, into the page."""
    claimed = claims()
    lines = []
    for line in PAGE.read_text().splitlines():
        row = ROW.fullmatch(line)
        names = claimed.get(int(row[1])) if row else None
        lines.append(f"| {row[1]} | {row[2]} | {written(names)} |" if names else line)
    states = [row[3].partition(":")[0] for row in map(ROW.fullmatch, lines) if row]
    absent, missing = states.count("not built"), states.count("open")
    told = counts(len(states) - absent - missing, absent, missing)
    PAGE.write_text(re.sub(r"\d+ of the \d+ cases are covered[^\n]*", told, "\n".join(lines) + "\n"))


if __name__ == "__main__":
    write()
