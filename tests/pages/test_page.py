"""What runs the commands of pages notices what is wrong with a page."""

import pytest

from tests.pages.page import Run, blocks


@pytest.fixture
def run_page(tmp_path):
    """A function that runs a page with a text."""

    def run(text):
        page = tmp_path / "page.md"
        page.write_text(text)
        folder = tmp_path / "run"
        folder.mkdir()
        Run(page, folder).run()

    return run


def test_a_command_that_fails_is_named(run_page):
    with pytest.raises(AssertionError, match="cat gone"):
        run_page("```console\n$ echo one\n$ cat gone\n$ echo two\n```\n")


@pytest.mark.parametrize("shown", ["two", "on", "one\none", "…\ntwo"])
def test_what_is_printed_must_be_what_the_page_shows(run_page, shown):
    with pytest.raises(AssertionError, match="prints"):
        run_page(f"```console\n$ echo one\n{shown}\n```\n")


@pytest.mark.parametrize("shown", ["one", "one\nand two", "…\nand two", "and …", "o…e"])
def test_any_text_may_stand_for_three_dots(run_page, shown):
    run_page(f"```console\n$ echo one; \\\n    echo and two\n{shown}\n```\n")


def test_a_file_and_a_variable_are_there_for_the_next_block(run_page):
    run_page(
        '```yaml title="a/b.yaml"\nc: "$X"\n```\n```console\n$ export X=1\n```\n'
        '<!-- test: test "$X" = 1 -->\n```console\n$ cat a/b.yaml\nc: "$X"\n```\n'
    )


def test_a_block_that_cannot_be_read_is_no_block_that_is_left_out():
    with pytest.raises(AssertionError, match="cannot be read"):
        blocks("- item\n\n  ```console\n  $ echo\n  ```\n")
