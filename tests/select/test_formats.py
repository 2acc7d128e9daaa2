"""How objects and answers are written: what XML of clients cannot say as it is, and what is broken."""

import time

import pytest

from s3ish.select.request import Csv, Json
from s3ish.select.unpacking import whole_records


@pytest.mark.parametrize("record", ["\r", "\r\n", "\n", ";", "|"])
def test_records_end_with_any_character(run, record):
    data = f"a,b{record}c,d{record}".encode()
    assert run("SELECT * FROM S3Object", data, csv=Csv(record=record)) == "a,b\nc,d\n"
    named = run("SELECT b FROM S3Object", data, csv=Csv(record=record, header="USE"), out=Csv(record=record))
    assert named == f"d{record}"


def test_an_end_of_line_is_a_character_like_others_where_records_end_otherwise(run):
    found = run("SELECT s._1 FROM S3Object s WHERE s._1 LIKE '%\n%'", b"a\nb,c;d,e;", csv=Csv(record=";"))
    assert found == '"a\nb"\n'


@pytest.mark.parametrize("record", ["\r\n", "\n", ";"])
def test_a_carriage_return_that_ends_no_record_is_a_character_like_others(run, record):
    for text in ("x\ry", "x\r\ry"):
        data = f"{text},b{record}c,{text}{record}".encode()
        assert run("SELECT * FROM S3Object", data, csv=Csv(record=record)) == f'"{text}",b\nc,"{text}"\n'
        found = run(f"SELECT s.b FROM S3Object s WHERE s.\"{text}\" = 'c'", data, csv=Csv(record=record, header="USE"))
        assert found == f'"{text}"\n'


def test_a_line_end_is_a_character_like_others_where_a_carriage_return_ends_records(run):
    assert run("SELECT * FROM S3Object", b"a\nx,b\rc,\r\nd,e\r", csv=Csv(record="\r")) == '"a\nx",b\nc,\n"\nd",e\n'
    named = run('SELECT s."\na" FROM S3Object s', b"\na,b\rc,d\r", csv=Csv(record="\r", header="USE"))
    assert named == "c\n"


LONG = b"x" * 1000 + b"\n"


@pytest.mark.parametrize("quoted_records", [False, True])
def test_quotes_within_fields_are_characters_and_hide_no_end_of_a_record(run, quoted_records):
    data = b'5" pipe,1\n' + LONG * 4000 + b"#comment\n" + b'7" pipe,2\n\n' + LONG * 1000 + b'9" pipe,3'
    form = Csv(quoted_records=quoted_records)
    assert run("SELECT COUNT(*) FROM S3Object", data, csv=form) == "5003\n"
    assert run("SELECT s._1, s._2 FROM S3Object s WHERE s._2 <> ''", data, csv=form, out=Csv(quote="")) == (
        '5" pipe,1\n7" pipe,2\n9" pipe,3\n'
    )


def test_quoted_fields_may_hold_ends_of_records_comments_and_empty_lines(run):
    row = b'"a\n#no comment\n\nb ""c"" ",2\n'
    data = b"#comment\n" + (row + b"#comment\n\n") * 20_000
    form = Csv(quoted_records=True)
    assert run("SELECT COUNT(*) FROM S3Object s WHERE s._2 = 2", data, csv=form) == "20000\n"
    first = run("SELECT s._1 FROM S3Object s LIMIT 1", data, csv=form, out=Csv(quote=""))
    assert first == 'a\n#no comment\n\nb "c" \n'
    named = b'"a\nb",c\n1,2\n'
    assert run('SELECT s."a\nb" FROM S3Object s', named, csv=Csv(quoted_records=True, header="USE")) == "1\n"


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("rows", [7000, 20_000])
def test_no_record_is_lost_or_made_where_files_of_the_engine_meet(run, rows, end):
    lengths = [(number * 7919) % 1200 for number in range(rows)]
    lengths[-1] = 1  # shorter than what fills a file
    lines = [b"%d,%s" % (number, b"x" * length) for number, length in enumerate(lengths)]
    query = "SELECT COUNT(*), SUM(CAST(s._1 AS INT)), SUM(CHAR_LENGTH(s._2)) FROM S3Object s"
    expected = f"{rows},{sum(range(rows))},{sum(lengths)}\n"
    assert run(query, b"\n\n".join(lines) + end, csv=Csv()) == expected


def test_time_grows_with_the_bytes_and_not_with_quoted_fields_times_lines():
    record = b'"a\nb",1\n'
    began = time.process_time()
    assert list(whole_records([b"\n" + record * 25_000], b"\n", Csv(quoted_records=True))) == [record * 25_000]
    assert time.process_time() - began < 5  # looking at all fields for each line takes half a minute


def test_a_record_of_many_members_is_written_with_all_of_them(run):
    members = 100_010  # within the longest record
    data = ("{" + ",".join(f'"{number:x}":1' for number in range(members)) + "}\n").encode()
    assert run("SELECT * FROM S3Object", data, json=Json()) == ",".join("1" * members) + "\n"
