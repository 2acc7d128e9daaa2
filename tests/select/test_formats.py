"""How objects and answers are written: what XML of clients cannot say as it is, and what is broken."""

import time

import pytest

from s3ish.select.request import Csv, Json
from s3ish.select.unpacking import whole_ends, whole_records


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


@pytest.mark.parametrize(
    ("header", "out", "expected"),
    [
        ("NONE", Csv(), "a,b\n1\n2,,5\n,\n3,4,5,6\n"),
        ("USE", Csv(), "1\n2,,5\n,\n3,4,5,6\n"),
        ("IGNORE", Csv(always=True), '"1"\n"2","","5"\n"",""\n"3","4","5","6"\n'),
        ("USE", Json(), '{"a":"1"}\n{"a":"2","b":"","_3":"5"}\n{"a":"","b":""}\n{"a":"3","b":"4","_3":"5","_4":"6"}\n'),
    ],
)
def test_every_record_has_the_fields_that_it_has_and_not_those_of_the_first(run, header, out, expected):
    data = b"a,b\n1\n2,,5\n,\n3,4,5,6\n"
    assert run("SELECT * FROM S3Object", data, csv=Csv(header=header), out=out) == expected
    assert run("SELECT s.* FROM S3Object s", data, csv=Csv(header=header), out=out) == expected


def test_quoted_separators_make_no_fields(run):
    data = b'a\n"b,b,b","c\n,,,,",d\n'
    expected = '{"_1":"a"}\n{"_1":"b,b,b","_2":"c\\n,,,,","_3":"d"}\n'
    assert run("SELECT * FROM S3Object", data, csv=Csv(quoted_records=True), out=Json()) == expected


def test_late_records_may_have_some_fields_more_than_all_before(run):
    data = (b"a," + b"b" * 999 + b"\n") * 5000 + b"c,d,e,f\n"
    assert run("SELECT * FROM S3Object s WHERE s._3 = 'e'", data, csv=Csv()) == "c,d,e,f\n"


def test_lone_ends_of_lines_are_characters_where_both_of_them_end_records(run):
    two = Csv(record="\r\n", header="USE", comment="%")
    data = b"i\nd,n\r\n1,x\ny\r\n%no\nrecord\r\n\r\n2,\n\r\n\n3,a\rb"
    found = run('SELECT s."i\nd", s.n FROM S3Object s', data, csv=two, out=Json())
    assert found == ('{"i\\nd":"1","n":"x\\ny"}\n{"i\\nd":"2","n":"\\n"}\n{"i\\nd":"\\n3","n":"a\\rb"}\n')
    assert run("SELECT COUNT(*) FROM S3Object s WHERE s.n LIKE '%\n%'", data, csv=two) == "2\n"


def test_a_quoted_field_may_hold_what_ends_records_where_that_is_two_characters(run):
    data = b'a,"x\r\ny\nz"\r\nb,c\n"d"\r\n' * 60_000
    form = Csv(record="\r\n", quoted_records=True)
    first = run("SELECT s._2 FROM S3Object s LIMIT 2", data, csv=form, out=Json())
    assert first == '{"_2":"x\\r\\ny\\nz"}\n{"_2":"c\\n\\"d\\""}\n'
    assert run("SELECT COUNT(*) FROM S3Object s WHERE s._2 LIKE '%\r\n%'", data, csv=form) == "60000\n"


@pytest.mark.parametrize("start", range(16))
def test_a_part_has_the_records_that_begin_in_it_where_two_characters_end_them(run, start):
    """The server sends what is needed from two bytes before the part."""
    data, places = b"a\nb\r\nc\rd\r\n\ne\r\nf", {0: "a\nb", 5: "c\rd", 10: "\ne", 14: "f"}
    first = max(start - 2, 0)
    for stop in range(start + 1, len(data) + 1):
        form = {"csv": Csv(record="\r\n"), "out": Csv(quote=""), "skip": start > 0, "stop": stop - first}
        found = run("SELECT * FROM S3Object", data[first:], **form)
        assert found == "".join(f"{text}\n" for at, text in places.items() if start <= at < stop), stop


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pieces_part_no_end_of_two_characters(size):
    data = b"a\r\nb\r\r\n\rc\r"
    pieces = list(whole_ends([data[at : at + size] for at in range(0, len(data), size)], b"\r\n"))
    assert b"".join(pieces) == data
    assert sum(piece.count(b"\r\n") for piece in pieces) == 2


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


def test_a_record_of_as_many_fields_as_may_be_is_read(run):
    data = b"a\n" + b"b" + b",c" * 255 + b"\n"
    assert run("SELECT * FROM S3Object", data, csv=Csv()) == data.decode()


def test_what_a_path_does_not_find_is_a_record_without_members(run):
    found = run("SELECT * FROM S3Object[*].a", b'{"a":{"x":1,"y":2}}\n{}\n{"a":null}\n', json=Json(), out=Csv())
    assert found == "1,2\n\n\n"


@pytest.mark.parametrize(
    ("query", "data", "form", "code"),
    [
        ("SELECT CAST(s._1 AS INT) FROM S3Object s", b"max_line_size\n", Csv(), "CastFailed"),
        ("SELECT CAST(s._1 AS BOOL) FROM S3Object s", b"not utf-8, UTF8\n", Csv(), "CastFailed"),
        ("SELECT CAST(s.a AS INT) FROM S3Object s", b'{"a":"maximum_object_size"}\n', Json(), "CastFailed"),
        ("SELECT s.a FROM S3Object s WHERE CAST('x' AS DECIMAL) = s.a", b'{"a":1}\n', Json(), "CastFailed"),
        ("SELECT * FROM S3Object s", b"a\nmax_line_size,\xff\n", Csv(), "InvalidTextEncoding"),
        ("SELECT * FROM S3Object s", b'{"a":"\xff maximum_object_size"}\n', Json(), "InvalidTextEncoding"),
    ],
)
def test_an_error_is_what_went_wrong_and_not_what_the_data_say(fail, query, data, form, code):
    assert fail(query, data, **{"csv" if isinstance(form, Csv) else "json": form}) == code
