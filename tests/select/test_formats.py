"""How objects and answers are written: what XML of clients cannot say as it is, and what is broken."""

import pytest

from s3ish.select.request import Csv


@pytest.mark.parametrize("record", ["\r", "\r\n", "\n", ";", "|"])
def test_records_end_with_any_character(run, record):
    data = f"a,b{record}c,d{record}".encode()
    assert run("SELECT * FROM S3Object", data, csv=Csv(record=record)) == "a,b\nc,d\n"
    named = run("SELECT b FROM S3Object", data, csv=Csv(record=record, header="USE"), out=Csv(record=record))
    assert named == f"d{record}"


def test_an_end_of_line_is_a_character_like_others_where_records_end_otherwise(run):
    found = run("SELECT s._1 FROM S3Object s WHERE s._1 LIKE '%\n%'", b"a\nb,c;d,e;", csv=Csv(record=";"))
    assert found == '"a\nb"\n'
