"""The documentation site builds without a warning; tests/test_docs.py holds its navigation and links."""

import re
import shutil
import subprocess
import sys
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
