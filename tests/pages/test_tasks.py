"""Every command of every page is run: see ``page.py`` how, and ``stand_ins.py`` in place of which programs."""

import base64
import re
import shutil

import pytest

from s3ish.config_sources import load
from tests.pages.page import ROOT, TASKS, Run, blocks
from tests.pages.stand_ins import stop_all

MAKE = "CI runs it (.ci/run and its workflow), and tests/test_project.py holds that"
LEFT_OUT = {
    "make serve                       # listens on 127.0.0.1:9000, keeps data in ./s3-data": MAKE,
    "make quick                       # format, lint, types and the fast tests, in a few minutes": MAKE,
    "make test                        # the same, house rules, spelling and all tests, in about ten minutes": MAKE,
    "python -m pip install awscli boto3": "the clients of the test are there",
    "python -m pip install boto3 pytest": "the packages of the test are there",
    "sudo python3 -m venv /opt/s3ish": "the server under test is there",
    "sudo /opt/s3ish/bin/pip install s3ish": "the server under test is there",
    "sudo /opt/s3ish/bin/pip install --upgrade s3ish": "the server under test is the newest",
    "sudo /opt/s3ish/bin/pip install s3ish==0.1.0": "the backup is served by the server under test instead",
}
"""Commands that are not run, and why."""

ELSEWHERE = {
    "CONTRIBUTING.md": "tests/test_project.py",
    "docs/access.md": "tests/test_access_page.py and tests/cli/test_admin.py",
    "docs/adding-an-operation.md": "tests/test_docs.py",
    "docs/buckets.md": "tests/test_buckets_page.py",
    "docs/replacing.md": "tests/test_pages.py",
    "docs/tasks/proxy.md": "tests/process/test_deploying.py",
    "docs/testing.md": "tests/test_pages.py",
}
"""Pages that other tests run."""
ALL = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
PAGES = sorted(
    page for page in ALL if str(page.relative_to(ROOT)) not in ELSEWHERE and "```console" in page.read_text()
)
PAGES.append(TASKS / "github-actions.md")
NEEDED = ("aws", "curl", "openssl")


def commands(page):
    """Return the commands of a page as they are written, without those of the test."""
    return [it.text for block in blocks(page.read_text()) if not block.hidden for it in block.commands]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page(page, tmp_path):
    for name in NEEDED:
        if f"{name} " in " ".join(commands(page)) and not shutil.which(name):
            pytest.skip(f"{name} is not installed")
    run = Run(page, tmp_path, LEFT_OUT)
    try:
        run.run()
    finally:
        stop_all(tmp_path)
    assert run.commands
    assert len(run.commands) + len(run.left_out) == sum(len(block.commands) for block in run.blocks)


def test_what_is_left_out_stands_on_a_page():
    assert set(LEFT_OUT) <= {text for page in PAGES for text in commands(page)}


def test_no_page_shows_commands_that_are_not_run():
    languages = {"bash", "console", "sh", "shell"}
    for page in ALL:
        if page not in PAGES and str(page.relative_to(ROOT)) not in ELSEWHERE:
            assert not languages & set(re.findall(r"^ *```(\w+)", page.read_text(), re.M)), page
    for page in PAGES:
        assert not languages - {"console"} & {block.language for block in blocks(page.read_text())}, page
        assert all(block.title for block in blocks(page.read_text()) if block.language == "python"), page
    assert set(TASKS.iterdir()) <= {*PAGES, TASKS / "proxy.md"}


@pytest.mark.parametrize("page", [it for it in ALL if "```toml" in it.read_text()], ids=lambda page: page.stem)
def test_settings_that_a_page_shows_can_be_used(page, tmp_path):
    for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.M | re.S)):
        if text.startswith("--8<--"):  # config.toml: tests/test_config.py
            continue
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        load(file=str(file), environment={"S3ISH_MASTER_KEY": base64.b64encode(bytes(32)).decode()})
