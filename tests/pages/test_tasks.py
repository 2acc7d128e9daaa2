"""Every command of the pages on tasks is run: see ``page.py`` how, and ``stand_ins.py`` in place of which programs."""

import shutil

import pytest

from tests.pages.page import ROOT, TASKS, Run, blocks
from tests.pages.stand_ins import stop_all

LEFT_OUT = {
    "sudo python3 -m venv /opt/s3ish": "the server under test is there",
    "sudo /opt/s3ish/bin/pip install s3ish": "the server under test is there",
    "sudo /opt/s3ish/bin/pip install --upgrade s3ish": "the server under test is the newest",
    "sudo /opt/s3ish/bin/pip install s3ish==0.1.0": "the backup is served by the server under test instead",
}
"""Commands that are not run, and why."""

PAGES = [ROOT / "docs/index.md", *sorted(TASKS.glob("*.md"))]
ELSEWHERE = {"proxy.md": "tests/process/test_deploying.py runs both proxies"}
"""Pages without a command, and what runs what they show."""
NEEDED = ("aws", "curl", "openssl")


def commands(page):
    """Return the commands of a page as they are written, without those of the test."""
    return [it.text for block in blocks(page.read_text()) if not block.hidden for it in block.commands]


@pytest.mark.slow
@pytest.mark.parametrize("page", [it for it in PAGES if it.name not in ELSEWHERE], ids=lambda page: page.stem)
def test_commands_of_a_page(page, tmp_path):
    for name in NEEDED:
        if f"{name} " in " ".join(commands(page)) and not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    run = Run(page, tmp_path, {text.replace("/opt/", f"{tmp_path}/machine/opt/") for text in LEFT_OUT})
    try:
        run.run()
    finally:
        stop_all(tmp_path)
    assert run.commands
    assert len(run.commands) + len(run.left_out) == sum(len(block.commands) for block in run.blocks)


def test_what_is_left_out_stands_on_a_page():
    assert set(LEFT_OUT) <= {text for page in PAGES for text in commands(page)}
    assert [page.name for page in PAGES if not commands(page) and "<!-- test:" not in page.read_text()] == [*ELSEWHERE]
