"""The documentation site: it builds without a warning, and its navigation has every page."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SETTINGS = (ROOT / "zensical.toml").read_text()


def build(folder, docs):
    """Build the site of a folder of pages; return what ended."""
    (folder / "config.toml").write_text((ROOT / "config.toml").read_text())
    (folder / "zensical.toml").write_text(SETTINGS)
    shutil.copytree(docs, folder / "docs", dirs_exist_ok=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    built = build(tmp_path, DOCS)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = [page.relative_to(DOCS) for page in DOCS.rglob("*.md")]
    for page in pages:
        shown = tmp_path / "site" / (page.parent if page.stem == "index" else page.with_suffix("")) / "index.html"
        assert shown.exists(), page
    assert "idle_timeout_seconds" in (tmp_path / "site/settings/index.html").read_text(), "config.toml is in its page"
    asked = re.findall(
        r"<(?:script|link|img)[^>]*(?:src|href)=\"?(https?://[^\">\s]+)", (tmp_path / "site/index.html").read_text()
    )
    assert asked == [], "a page loads nothing from other servers"


@pytest.mark.slow
@pytest.mark.parametrize("link", ["nowhere.md", "operating.md#nowhere"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path, link):
    docs = tmp_path / "pages"
    docs.mkdir()
    (docs / "index.md").write_text(f"# A page\n\n[a link]({link})\n")
    (docs / "operating.md").write_text("# Operating\n")
    built = build(tmp_path, docs)
    assert built.returncode != 0
    assert "does not exist" in built.stdout + built.stderr


def leaves(entries):
    for entry in entries:
        for to in entry.values():
            yield from leaves(to) if isinstance(to, list) else (to,)


def test_the_navigation_has_every_page_once():
    named = sorted(leaves(tomllib.loads(SETTINGS)["project"]["nav"]))
    pages = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert named == [page for page in pages if not page.startswith("decisions/")]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_links_of_a_page_stay_on_the_site(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).resolve().is_relative_to(DOCS), target
            assert (page.parent / target).is_file(), f"{target} is no page of the site"
