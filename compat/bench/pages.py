"""Pages of the documentation with a table that a program writes."""

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def put_between_marks(page, text):
    """Replace what a page has between its two marks; what stands outside them is written by people."""
    old = page.read_text()
    page.write_text(old.partition(BEGIN)[0] + BEGIN + "\n" + text + "\n" + END + old.partition(END)[2])
