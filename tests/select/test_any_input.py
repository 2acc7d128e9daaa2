"""Any expression and any bytes give records or one error of S3's, and nothing else."""

import bz2
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3ish.errors import S3Error
from s3ish.select.parser import parse
from s3ish.select.request import Csv, Json
from tests.select.conftest import ask

WORDS = (
    "SELECT FROM S3Object S3Object[*] WHERE LIMIT AS AND OR NOT IN IS NULL MISSING LIKE ESCAPE BETWEEN CASE WHEN THEN ELSE END "
    "CAST ( ) , . * [ ] [0] + - / % || = <> < > <= 1 2.5 1e400 9223372036854775808 'a' '%' '' `2010T` `x` \"a\" a b s s.a _1 _0 "
    "COUNT SUM MIN MAX AVG LOWER UPPER TRIM SUBSTRING CHAR_LENGTH COALESCE NULLIF UTCNOW TO_STRING TO_TIMESTAMP DATE_ADD DATE_DIFF "
    "EXTRACT year hour FOR LEADING INT STRING FLOAT BOOL DECIMAL TIMESTAMP TRUE"
).split()  # fmt: skip
OPERANDS = [
    "a",
    "b",
    "s.a",
    "_1",
    "1",
    "0",
    "-2.5",
    "'x'",
    "''",
    "NULL",
    "TRUE",
    "`2010T`",
    "UTCNOW()",
    "'5'",
    "9223372036854775807",
]
SHAPES = [
    "{} = {}", "{} < {}", "{} + {}", "{} / {}", "{} % {}", "{} * {}", "{} || {}", "{} AND {}", "{} OR {}", "NOT {}", "{} IS NULL",
    "{} IS NOT MISSING", "{} LIKE {}", "{} IN ({}, {})", "{} BETWEEN {} AND {}", "CASE WHEN {} THEN {} ELSE {} END",
    "CASE {} WHEN {} THEN {} END", "CAST({} AS INT)", "CAST({} AS FLOAT)", "CAST({} AS BOOL)", "CAST({} AS STRING)",
    "CAST({} AS DECIMAL(5, 2))", "CAST({} AS TIMESTAMP)", "LOWER({})", "CHAR_LENGTH({})", "TRIM({})", "TRIM(LEADING {} FROM {})",
    "SUBSTRING({}, {}, {})", "SUBSTRING({} FROM {})", "COALESCE({}, {})", "NULLIF({}, {})", "DATE_ADD(month, {}, {})",
    "DATE_DIFF(day, {}, {})", "EXTRACT(year FROM {})", "TO_STRING({}, 'y-MM n')", "TO_TIMESTAMP({})", "SUM({})", "MAX({})", "COUNT({})",
]  # fmt: skip


@st.composite
def expressions(draw, depth=3):
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(OPERANDS))
    shape = draw(st.sampled_from(SHAPES))
    return f"({shape.format(*(draw(expressions(depth=depth - 1)) for _ in range(shape.count('{}'))))})"


@given(st.text() | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_a_query_or_one_error(text):
    for expression in (text, f"SELECT {text} FROM S3Object", f"SELECT a FROM S3Object WHERE {text}"):
        try:
            parse(expression)
        except S3Error as error:
            assert error.status == 400


@settings(max_examples=60)
@given(expressions(), expressions())
@pytest.mark.parametrize("form", ["csv", "json"])
def test_any_expression_gives_records_or_one_error(form, column, condition):
    csv = Csv(header="USE") if form == "csv" else None
    data = b"a,b\n1,x\n,\n2010-01-01T,true\n" if csv else b'{"a": 1, "b": "x"}\n{"a": null}\n{"b": [1]}\n{"a": true}\n'
    found = ask(
        f"SELECT {column}, 1 FROM S3Object s WHERE {condition}", data, csv=csv, json=None if csv else Json(), out=Json()
    )
    assert found.counts or found.error[0]
    assert found.error[0] not in ("InternalError", "ExternalEvalException")


@settings(max_examples=60)
@given(st.binary(max_size=300) | st.text(alphabet='a,"\n\r#;{}[]:1\\', max_size=60).map(str.encode), st.data())
def test_any_bytes_are_read_or_refused(data, draw):
    csv = draw.draw(
        st.builds(
            Csv,
            record=st.sampled_from(["\n", "\r\n", "\r", ";"]),
            quote=st.sampled_from(['"', "", "'"]),
            escape=st.sampled_from(['"', "\\", ""]),
            comment=st.sampled_from(["#", ""]),
            header=st.sampled_from(["NONE", "USE", "IGNORE"]),
            quoted_records=st.booleans(),
        )
    )
    form = draw.draw(st.sampled_from([{"csv": csv}, {"json": Json()}, {"json": Json(lines=False)}, {}]))
    packed = draw.draw(st.sampled_from(["NONE", "GZIP", "BZIP2"])) if form else "NONE"
    if draw.draw(st.booleans()) and packed != "NONE":
        data = (gzip.compress if packed == "GZIP" else bz2.compress)(data)
    found = ask("SELECT * FROM S3Object", data, **form, packed=packed)
    assert found.counts or found.error[0]
    assert found.error[0] != "InternalError"


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab ,'", min_size=1, max_size=5), min_size=1, max_size=60), st.integers(1, 40))
def test_ranges_side_by_side_have_each_record_once(fields, step):
    data = "".join(f"{field}\n" for field in fields).encode()
    form = Csv(field=";", comment="", quote="")
    found = []
    for start in range(0, len(data), step):
        first = max(start - 1, 0)
        part = {"skip": start > 0, "stop": min(start + step, len(data)) - first}
        answer = ask(
            "SELECT s._1 FROM S3Object s", data[first:], csv=form, out=Csv(field=";", quote=""), head=0, **part
        )
        assert answer.error == ("", "")
        found.append(answer.records)
    assert b"".join(found) == data
