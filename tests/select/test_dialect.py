"""S3's SQL dialect: what each form of it gives. Many are AWS's examples.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference.html
"""

import pytest

from s3ish.select.request import Csv, Json

PEOPLE = b"""id,Name,age,city,joined,empty
1,Ann,30,Oslo,2010-01-01T,
2,Bob,4,Bonn,2017-01-02T03:04:05.006Z,
3,"Cy, Jr",x,Rome,2007-02-23T12:14:33.079-08:00,
"""
USE = Csv(header="USE")
RULES = (
    b'{"Rules": [{"id": "1"}, {"expr": "y > x"}, {"id": "2", "expr": "z = DEBUG"}]}\n'
    b'{"created": "June 27", "modified": "July 6"}\n'
)

ROWS = [
    # what is selected
    ("SELECT * FROM S3Object", '1,Ann,30,Oslo,2010-01-01T,\n2,Bob,4,Bonn,2017-01-02T03:04:05.006Z,\n3,"Cy, Jr",x,Rome,2007-02-23T12:14:33.079-08:00,\n'),
    ("SELECT s.* FROM S3Object s WHERE s.id = 2", "2,Bob,4,Bonn,2017-01-02T03:04:05.006Z,\n"),
    ("SELECT s.id FROM S3Object s", "1\n2\n3\n"),
    ("select s.ID from s3object as s", "1\n2\n3\n"),
    ("SELECT name FROM S3Object", 'Ann\nBob\n"Cy, Jr"\n'),
    ('SELECT "Name" FROM S3Object', 'Ann\nBob\n"Cy, Jr"\n'),
    ("SELECT s._1, s._3 FROM S3Object s LIMIT 2", "1,30\n2,4\n"),
    ("SELECT S3Object.city FROM S3Object LIMIT 1", "Oslo\n"),
    ("SELECT S3Object.city FROM S3Object[*] LIMIT 1", "Oslo\n"),
    ("SELECT id FROM S3Object LIMIT 0", ""),
    ("SELECT id FROM S3Object LIMIT 99", "1\n2\n3\n"),
    # comparisons
    ("SELECT id FROM S3Object WHERE age = 30", "1\n"),
    ("SELECT id FROM S3Object WHERE age = '30'", "1\n"),
    ("SELECT id FROM S3Object WHERE age > 4", "1\n"),
    ("SELECT id FROM S3Object WHERE 4 <= age", "1\n2\n"),
    ("SELECT id FROM S3Object WHERE age <> 4", "1\n"),
    ("SELECT id FROM S3Object WHERE age != 4", "1\n"),
    ("SELECT id FROM S3Object WHERE age < 30.5 AND age >= 4.0", "1\n2\n"),
    ("SELECT id FROM S3Object WHERE CAST(id AS INT) > 1", "2\n3\n"),
    ("SELECT id FROM S3Object WHERE city < 'C' OR city > 'P'", "2\n3\n"),
    ("SELECT id FROM S3Object WHERE NOT city = 'Oslo'", "2\n3\n"),
    ("SELECT id FROM S3Object WHERE NOT NOT city = 'Oslo'", "1\n"),
    ("SELECT id FROM S3Object WHERE city IN ('Oslo', 'Rome')", "1\n3\n"),
    ("SELECT id FROM S3Object WHERE age IN (4, 30)", "1\n2\n"),
    ("SELECT id FROM S3Object WHERE id NOT IN ('1', '3')", "2\n"),
    ("SELECT id FROM S3Object WHERE id BETWEEN 2 AND 3", "2\n3\n"),
    ("SELECT id FROM S3Object WHERE id NOT BETWEEN 2 AND 3", "1\n"),
    ("SELECT id FROM S3Object WHERE (id = 1 OR id = 2) AND city LIKE 'B%'", "2\n"),
    # NULL and MISSING
    ("SELECT id FROM S3Object WHERE empty IS NULL", ""),
    ("SELECT id FROM S3Object WHERE empty = ''", "1\n2\n3\n"),
    ("SELECT id FROM S3Object WHERE empty IS NOT NULL LIMIT 1", "1\n"),
    ("SELECT id FROM S3Object s WHERE s._9 IS MISSING LIMIT 1", "1\n"),
    ("SELECT id FROM S3Object s WHERE s._1 IS NOT MISSING LIMIT 1", "1\n"),
    ("SELECT id FROM S3Object WHERE NULL", ""),
    # LIKE
    ("SELECT id FROM S3Object WHERE city LIKE 'O%'", "1\n"),
    ("SELECT id FROM S3Object WHERE city LIKE '_o__'", "2\n3\n"),
    ("SELECT id FROM S3Object WHERE city NOT LIKE '%o%'", ""),
    ("SELECT id FROM S3Object WHERE '100%' LIKE '100$%' ESCAPE '$'", "1\n2\n3\n"),
    ("SELECT id FROM S3Object WHERE '100x' LIKE '100$%' ESCAPE '$'", ""),
    ("SELECT id FROM S3Object WHERE 'it''s' LIKE '%''s' LIMIT 1", "1\n"),
    # arithmetic
    ("SELECT 1 + 2 * 3 - 4 FROM S3Object LIMIT 1", "3\n"),
    ("SELECT (1 + 2) * -3 FROM S3Object LIMIT 1", "-9\n"),
    ("SELECT CASE WHEN id <> 2 THEN 4 / (id - 2) END FROM S3Object", "-4\n\n4\n"),
    ("SELECT id FROM S3Object WHERE id <> 2 AND 4 / (id - 2) > 0", "3\n"),
    ("SELECT id FROM S3Object WHERE id = 2 OR 4 / (id - 2) > 0", "2\n3\n"),
    ("SELECT id FROM S3Object WHERE NOT (id = 2 OR NULL OR 4 / (id - 2) > 0)", ""),
    ("SELECT id FROM S3Object WHERE age <> 'x' AND CAST(age AS INT) > 4", "1\n"),
    ("SELECT id FROM S3Object WHERE (NULL AND age <> 'x' AND CAST(age AS INT) > 4) IS NULL", "1\n"),
    ("SELECT 7 / 2, 7 % 4, 7.0 / 2 FROM S3Object LIMIT 1", "3,3,3.5\n"),
    ("SELECT -CAST(id AS INT) FROM S3Object LIMIT 1", "-1\n"),
    ("SELECT id + 0.5 FROM S3Object LIMIT 1", "1.5\n"),
    ("SELECT name || '/' || city FROM S3Object LIMIT 1", "Ann/Oslo\n"),
    ("SELECT 9007199254740993 FROM S3Object WHERE '9007199254740993' = 9007199254740993 LIMIT 1", "9007199254740993\n"),
    ("SELECT id FROM S3Object WHERE '9007199254740993' = 9007199254740992", ""),
    # conditional functions
    ("SELECT CASE WHEN age = 30 THEN 'old' WHEN age = 4 THEN 'young' ELSE '?' END FROM S3Object", "old\nyoung\n?\n"),
    ("SELECT CASE id WHEN 1 THEN 'one' WHEN 2 THEN 'two' END FROM S3Object", "one\ntwo\n\n"),
    ("SELECT COALESCE(1) FROM S3Object LIMIT 1", "1\n"),
    ("SELECT COALESCE(1, null) FROM S3Object LIMIT 1", "1\n"),
    ("SELECT COALESCE(null, null, 1) FROM S3Object LIMIT 1", "1\n"),
    ("SELECT COALESCE(null, 'string') FROM S3Object LIMIT 1", "string\n"),
    ("SELECT NULLIF(1, 2), NULLIF('a', 'b'), NULLIF(1, 1) FROM S3Object LIMIT 1", "1,a,\n"),
    ("SELECT NULLIF(1, null), NULLIF(null, 1) FROM S3Object LIMIT 1", "1,\n"),
    # conversions
    ("SELECT CAST('7' AS INTEGER) + 1 FROM S3Object LIMIT 1", "8\n"),
    ("SELECT CAST(7.9 AS INT), CAST('1.5' AS FLOAT), CAST('2.50' AS DECIMAL(5, 2)) FROM S3Object LIMIT 1", "7,1.5,2.5\n"),
    ("SELECT CAST('1e2' AS INT), CAST(-7.9 AS INT), CAST(TRUE AS INT) FROM S3Object LIMIT 1", "100,-7,1\n"),
    ("SELECT CAST('true' AS BOOL), CAST(5 AS STRING) || 'x' FROM S3Object LIMIT 1", "true,5x\n"),
    ("SELECT id FROM S3Object WHERE CAST('false' AS BOOLEAN)", ""),
    # functions of text
    ("SELECT CHAR_LENGTH(''), CHAR_LENGTH('abcdefg'), CHARACTER_LENGTH('abcdefg') FROM S3Object LIMIT 1", "0,7,7\n"),
    ("SELECT LOWER('AbCdEfG!@#$'), UPPER('AbCdEfG!@#$') FROM S3Object LIMIT 1", "abcdefg!@#$,ABCDEFG!@#$\n"),
    ("SELECT SUBSTRING('123456789', 0), SUBSTRING('123456789', 2), SUBSTRING('123456789', -4) FROM S3Object LIMIT 1", "123456789,23456789,123456789\n"),
    ("SELECT SUBSTRING('123456789', 0, 999), SUBSTRING('123456789', 1, 5) FROM S3Object LIMIT 1", "123456789,12345\n"),
    ("SELECT SUBSTRING(city FROM 2 FOR 2) FROM S3Object LIMIT 1", "sl\n"),
    ("SELECT TRIM('       foobar         ') FROM S3Object LIMIT 1", "foobar\n"),
    ("SELECT '[' || TRIM(LEADING FROM '   foobar   ') || ']' FROM S3Object LIMIT 1", "[foobar   ]\n"),
    ("SELECT '[' || TRIM(TRAILING FROM '   foobar   ') || ']' FROM S3Object LIMIT 1", "[   foobar]\n"),
    ("SELECT TRIM(BOTH '12' FROM '1112211foobar22211122') FROM S3Object LIMIT 1", "foobar\n"),
    # functions of moments
    ("SELECT DATE_ADD(year, 5, `2010-01-01T`) FROM S3Object LIMIT 1", "2015-01-01T00:00:00Z\n"),
    ("SELECT DATE_ADD(month, 1, `2010T`), DATE_ADD(month, 13, `2010T`) FROM S3Object LIMIT 1", "2010-02-01T00:00:00Z,2011-02-01T00:00:00Z\n"),
    ("SELECT DATE_ADD(day, -1, `2017-01-10T`) FROM S3Object LIMIT 1", "2017-01-09T00:00:00Z\n"),
    ("SELECT DATE_ADD(hour, 1, `2017T`), DATE_ADD(hour, 1, `2017-01-02T03:04Z`) FROM S3Object LIMIT 1", "2017-01-01T01:00:00Z,2017-01-02T04:04:00Z\n"),
    ("SELECT DATE_ADD(minute, 1, `2017-01-02T03:04:05.006Z`) FROM S3Object LIMIT 1", "2017-01-02T03:05:05.006Z\n"),
    ("SELECT DATE_ADD(second, 1, `2017-01-02T03:04:05.006Z`) FROM S3Object LIMIT 1", "2017-01-02T03:04:06.006Z\n"),
    ("SELECT DATE_DIFF(year, `2010-01-01T`, `2011-01-01T`) FROM S3Object LIMIT 1", "1\n"),
    ("SELECT DATE_DIFF(year, `2010T`, `2010-05T`) FROM S3Object LIMIT 1", "0\n"),
    ("SELECT DATE_DIFF(month, `2010T`, `2011T`), DATE_DIFF(month, `2011T`, `2010T`) FROM S3Object LIMIT 1", "12,-12\n"),
    ("SELECT DATE_DIFF(day, `2010-01-01T23:00Z`, `2010-01-02T01:00Z`) FROM S3Object LIMIT 1", "0\n"),
    ("SELECT EXTRACT(YEAR FROM `2010-01-01T`), EXTRACT(MONTH FROM `2010T`), EXTRACT(MONTH FROM `2010-10T`) FROM S3Object LIMIT 1", "2010,1,10\n"),
    ("SELECT EXTRACT(HOUR FROM `2017-01-02T03:04:05+07:08`), EXTRACT(MINUTE FROM `2017-01-02T03:04:05+07:08`) FROM S3Object LIMIT 1", "3,4\n"),
    ("SELECT EXTRACT(TIMEZONE_HOUR FROM `2017-01-02T03:04:05+07:08`), EXTRACT(TIMEZONE_MINUTE FROM `2017-01-02T03:04:05+07:08`) FROM S3Object LIMIT 1", "7,8\n"),
    ("SELECT EXTRACT(TIMEZONE_HOUR FROM `2017-01-02T03:04-08:30`), EXTRACT(TIMEZONE_MINUTE FROM `2017-01-02T03:04-08:30`) FROM S3Object LIMIT 1", "-8,-30\n"),
    ("SELECT EXTRACT(TIMEZONE_HOUR FROM UTCNOW()), EXTRACT(TIMEZONE_MINUTE FROM `2017T`), EXTRACT(TIMEZONE_HOUR FROM NULL) FROM S3Object LIMIT 1", "0,0,\n"),
    ("SELECT EXTRACT(TIMEZONE_HOUR FROM TO_TIMESTAMP(joined)), EXTRACT(DAY FROM CAST(joined AS TIMESTAMP)) FROM S3Object", "0,1\n0,2\n-8,23\n"),
    ("SELECT DATE_ADD(day, 1, `2017-01-31T22:00-08:00`), DATE_ADD(month, 1, `2017-01-31T22:00-08:00`) FROM S3Object LIMIT 1", "2017-02-01T22:00:00-08:00,2017-02-28T22:00:00-08:00\n"),
    ("SELECT DATE_DIFF(hour, `2017-01-01T00:00+07:00`, `2017-01-01T00:00Z`) FROM S3Object LIMIT 1", "7\n"),
    ("SELECT COALESCE(NULL, `2017-01-02T03:04+07:08`), NULLIF(`2017-01-02T03:04+07:08`, `2016T`) FROM S3Object LIMIT 1", "2017-01-02T03:04:00+07:08,2017-01-02T03:04:00+07:08\n"),
    ("SELECT CASE id WHEN 1 THEN `2017T` ELSE `2017-01-01T00:00-01:30` END FROM S3Object LIMIT 2", "2017-01-01T00:00:00Z,2017-01-01T00:00:00-01:30\n".replace(",", "\n")),
    ("SELECT CAST(`2017-01-02T03:04:05+07:08` AS STRING) || '!' FROM S3Object LIMIT 1", "2017-01-02T03:04:05+07:08!\n"),
    ("SELECT id FROM S3Object WHERE `2017-01-02T03:04:05+07:08` = `2017-01-01T19:56:05Z` LIMIT 1", "1\n"),
    ("SELECT TO_STRING(`1969-07-20T20:18+08:00`, 'y-MM-dd''T''H:m:ssXXXX'), TO_STRING(`1969-07-20T20:18+08:00`, 'H XXXXX') FROM S3Object LIMIT 1", "1969-07-20T20:18:00+0800,20 +08:00\n"),
    ("SELECT TO_STRING(`1969-07-20T20:18-08:30`, 'X XX XXXXX x xx xxx'), TO_STRING(`1969-07-20T20:18+08:00`, 'X x') FROM S3Object LIMIT 1", "-0830 -0830 -08:30 -0830 -0830 -08:30,+08 +08\n"),
    ("SELECT TO_STRING(`1969-07-20T20:18Z`, 'x xx xxx xxxx xxxxx X XXXXX') FROM S3Object LIMIT 1", "+00 +0000 +00:00 +0000 +00:00 Z Z\n"),
    ("SELECT TO_STRING(`1969-07-20T20:18Z`, 'MMMM d, y') FROM S3Object LIMIT 1", '"July 20, 1969"\n'),
    ("SELECT TO_STRING(`1969-07-20T20:18Z`, 'MMM d, yyyy'), TO_STRING(`1969-07-20T20:18Z`, 'M-d-yy') FROM S3Object LIMIT 1", '"Jul 20, 1969",7-20-69\n'),
    ("SELECT TO_STRING(`1969-07-20T20:18Z`, 'MM-d-y'), TO_STRING(`1969-07-20T20:18Z`, 'MMMM d, y h:m a') FROM S3Object LIMIT 1", '7-20-1969,"July 20, 1969 8:18 PM"\n'.replace("7-20", "07-20", 1)),
    ("SELECT TO_STRING(`1969-07-20T20:18Z`, 'y-MM-dd''T''H:m:ssX') FROM S3Object LIMIT 1", "1969-07-20T20:18:00Z\n"),
    ("SELECT TO_STRING(`1969-07-20T20:18:01.5Z`, 'HH.ss.SSS n xxx') FROM S3Object LIMIT 1", "20.01.500 500000000 +00:00\n"),
    ("SELECT TO_TIMESTAMP('2007T'), TO_TIMESTAMP('2007-02-23T12:14:33.079-08:00') FROM S3Object LIMIT 1", "2007-01-01T00:00:00Z,2007-02-23T12:14:33.079-08:00\n"),
    ("SELECT TO_TIMESTAMP(joined) FROM S3Object", "2010-01-01T00:00:00Z\n2017-01-02T03:04:05.006Z\n2007-02-23T12:14:33.079-08:00\n"),
    ("SELECT id FROM S3Object WHERE CAST(joined AS TIMESTAMP) < `2010-01-01T00:00:01Z`", "1\n3\n"),
    ("SELECT UTCNOW() FROM S3Object LIMIT 1", "2026-01-02T03:04:05.678Z\n"),
    ("SELECT DATE_DIFF(year, TO_TIMESTAMP(joined), UTCNOW()) FROM S3Object LIMIT 1", "16\n"),
    # aggregates
    ("SELECT COUNT(*) FROM S3Object", "3\n"),
    ("SELECT COUNT(*) FROM S3Object WHERE age = 30", "1\n"),
    ("SELECT COUNT(id), SUM(CAST(id AS INT)), MIN(CAST(id AS INT)), MAX(CAST(id AS INT)) FROM S3Object", "3,6,1,3\n"),
    ("SELECT AVG(CAST(id AS FLOAT)) FROM S3Object", "2\n"),
    ("SELECT SUM(CAST(id AS INT)) / COUNT(*) FROM S3Object", "2\n"),
    ("SELECT MAX(TO_TIMESTAMP(joined)), MIN(TO_TIMESTAMP(joined)) FROM S3Object", "2017-01-02T03:04:05.006Z,2007-02-23T12:14:33.079-08:00\n"),
    ("SELECT SUM(id) FROM S3Object WHERE id = 9", "\n"),
]  # fmt: skip

RECORDS = (
    b'{"name": "Susan Smith", "org": "engineering", "projects": [{"project_name": "p1", "completed": false}, '
    b'{"project_name": "p2", "completed": true}], "n": null, "size": 5, "ok": true, "text": "5"}\n'
)

JSON_ROWS = [
    ("SELECT id FROM S3Object[*].Rules[*].id", '{"id":"1"}\n{}\n{"id":"2"}\n', RULES),
    ("SELECT id FROM S3Object[*].Rules[*].id WHERE id IS NOT MISSING", '{"id":"1"}\n{"id":"2"}\n', RULES),
    ("SELECT d.created, d.modified FROM S3Object[*] d", '{}\n{"created":"June 27","modified":"July 6"}\n', RULES),
    ("SELECT d.* FROM S3Object d WHERE d.created IS NOT MISSING", '{"created":"June 27","modified":"July 6"}\n', RULES),
    ("SELECT * FROM S3Object[*].Rules[1]", '{"expr":"y > x"}\n{}\n', RULES),
    ("SELECT * FROM S3Object[*].created", '{}\n{"_1":"June 27"}\n', RULES),
    ("SELECT CAST(s.a AS INT), CAST(s.b AS INT), CAST(s.c AS INT), CAST(s.d AS INT), CAST(s.e AS INT) FROM S3Object s", '{"_1":7,"_2":-7,"_3":1,"_4":8,"_5":null}\n', b'{"a":7.9,"b":-7.5,"c":true,"d":"8","e":null}'),
    ("SELECT r.expr FROM S3Object[*].Rules[*] r WHERE r.id = '2'", '{"expr":"z = DEBUG"}\n', RULES),
    ("SELECT s.projects[0].project_name FROM S3Object s", '{"project_name":"p1"}\n', RECORDS),
    ("SELECT s.projects[0] FROM S3Object s", '{"_1":{"project_name":"p1","completed":false}}\n', RECORDS),
    ("SELECT p.project_name FROM S3Object[*].projects[*] p WHERE p.completed", '{"project_name":"p2"}\n', RECORDS),
    ("SELECT s['name'] AS who FROM S3Object s", '{"who":"Susan Smith"}\n', RECORDS),
    ("SELECT s.n, s.nothing, s.size FROM S3Object s", '{"n":null,"size":5}\n', RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.n IS NULL AND s.nothing IS NULL", '{"size":5}\n', RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.n IS NOT MISSING AND s.nothing IS MISSING", '{"size":5}\n', RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.size = 5 AND s.text = '5'", '{"size":5}\n', RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.size = '5'", "", RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.text = 5", "", RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.text = s.size", "", RECORDS),
    ("SELECT s.size FROM S3Object s WHERE s.size = s.size AND s.ok = s.ok", '{"size":5}\n', RECORDS),
    ("SELECT s.size + 1, s.ok FROM S3Object s WHERE s.ok = true", '{"_1":6,"ok":true}\n', RECORDS),
    ("SELECT COALESCE(s.n, s.nothing, 'x'), SUM FROM S3Object s", '{"_1":"x"}\n', RECORDS),
    ("SELECT COUNT(*) AS c, SUM(s.size) AS t FROM S3Object s", '{"c":1,"t":5}\n', RECORDS),
    ("SELECT COUNT(s.n) FROM S3Object s", '{"_1":0}\n', RECORDS),
    ("SELECT s FROM S3Object s LIMIT 1", '{"s":{"a":1}}\n', b'{"a":1}'),
    ("SELECT * FROM S3Object[*][*]", '{"a":1}\n{"_1":2}\n{"_1":"x"}\n', b'[{"a":1},2,"x"]'),
    ("SELECT s.\"a/b\", s.\"c~d\", s.\"e'f\" FROM S3Object s", '{"a/b":1,"c~d":2,"e\'f":3}\n', b'{"a/b":1,"c~d":2,"e\'f":3}'),
    ('SELECT s."$.a" FROM S3Object s', '{"$.a":2}\n', b'{"a": 1, "$.a":2}'),
]  # fmt: skip

REFUSED = [
    ("", "ParseExpectedKeyword"),
    ("SELECT", "ParseEmptySelect"),
    ("SELECT FROM S3Object", "ParseEmptySelect"),
    ("SELECT 1", "ParseSelectMissingFrom"),
    ("SELECT * FROM elsewhere", "ParseUnexpectedTerm"),
    ("SELECT *, id FROM S3Object", "ParseAsteriskIsNotAloneInSelectList"),
    ("SELECT id FROM S3Object WHERE", "ParseExpectedExpression"),
    ("SELECT id FROM S3Object LIMIT -1", "EvaluatorNegativeLimit"),
    ("SELECT id FROM S3Object LIMIT 1.5", "ParseExpectedNumber"),
    ("SELECT id FROM S3Object LIMIT 99999999999999999999999", "ParseExpectedNumber"),
    ("SELECT id FROM S3Object ORDER BY id", "UnsupportedSqlStructure"),
    ("SELECT id FROM S3Object GROUP BY id", "UnsupportedSqlStructure"),
    ("SELECT a.id FROM S3Object a, S3Object b", "UnsupportedSqlStructure"),
    ("SELECT a.id FROM S3Object a JOIN S3Object b ON a.id = b.id", "UnsupportedSqlStructure"),
    ("SELECT id FROM (SELECT * FROM S3Object)", "UnsupportedSqlStructure"),
    ("SELECT (SELECT 1 FROM S3Object) FROM S3Object", "ParseExpectedExpression"),
    ("SELECT DISTINCT id FROM S3Object", "ParseUnsupportedSelect"),
    ("SELECT id FROM S3Object; DROP TABLE x", "LexerInvalidChar"),
    ("SELECT id FROM S3Object UNION SELECT 1", "UnsupportedSqlStructure"),
    ("SELECT id FROM S3Object -- comment", "ParseUnexpectedToken"),
    ("SELECT 'open FROM S3Object", "LexerInvalidLiteral"),
    ("SELECT id FROM S3Object WHERE id IN ()", "ParseExpectedExpression"),
    ("SELECT id FROM S3Object WHERE city LIKE 'a' ESCAPE 'ab'", "LexerInvalidLiteral"),
    ("SELECT id FROM S3Object WHERE city LIKE 'a$b' ESCAPE '$'", "LexerInvalidLiteral"),
    ("SELECT CASE id END FROM S3Object", "ParseExpectedWhenClause"),
    ("SELECT CAST(id AS BLOB) FROM S3Object", "ParseExpectedTypeName"),
    ("SELECT CAST(id AS DECIMAL(99)) FROM S3Object", "ParseInvalidTypeParam"),
    ("SELECT CAST(city AS INT) FROM S3Object", "CastFailed"),
    ("SELECT CAST('7.9' AS INT) FROM S3Object", "CastFailed"),
    ("SELECT city + 1 FROM S3Object", "CastFailed"),
    ("SELECT 9223372036854775807 + 1 FROM S3Object", "IntegerOverflow"),
    ("SELECT 1 / 0 FROM S3Object", "IllegalSqlFunctionArgument"),
    ("SELECT 1 % 0 FROM S3Object", "IllegalSqlFunctionArgument"),
    ("SELECT 1.5 / 0 FROM S3Object", "IllegalSqlFunctionArgument"),
    ("SELECT id FROM S3Object WHERE 1 = 1 % (id - id)", "IllegalSqlFunctionArgument"),
    ("SELECT id FROM S3Object WHERE id = (id = (1 / 0))", "IllegalSqlFunctionArgument"),
    ("SELECT LOWER() FROM S3Object", "EvaluatorInvalidArguments"),
    ("SELECT LOWER(5) FROM S3Object", "IncorrectSqlFunctionArgumentType"),
    ("SELECT SUM(*) FROM S3Object", "ParseUnsupportedCallWithStar"),
    ("SELECT SUM(id), id FROM S3Object", "UnsupportedSqlStructure"),
    ("SELECT SUM(COUNT(*)) FROM S3Object", "UnsupportedSqlStructure"),
    ("SELECT id FROM S3Object WHERE COUNT(*) > 1", "UnsupportedSqlStructure"),
    ("SELECT DATE_ADD(week, 1, `2010T`) FROM S3Object", "ParseExpectedDatePart"),
    ("SELECT TO_TIMESTAMP('yesterday') FROM S3Object", "ValueParseFailure"),
    ("SELECT TO_TIMESTAMP('infinity') FROM S3Object", "ValueParseFailure"),
    ("SELECT TO_STRING(UTCNOW(), 'QQ') FROM S3Object", "EvaluatorInvalidTimestampFormatPattern"),
    ("SELECT nope FROM S3Object", "MissingHeaders"),
    ('SELECT "name" FROM S3Object', "MissingHeaders"),
    ("SELECT s._0 FROM S3Object s", "InvalidColumnIndex"),
    ("SELECT s._9999 FROM S3Object s", "InvalidColumnIndex"),
    ("SELECT s.id.x FROM S3Object s", "ParseInvalidPathComponent"),
    ("SELECT id FROM S3Object[*].x", "UnsupportedSqlStructure"),
    ("SELECT s FROM S3Object s", "UnsupportedSqlOperation"),
    ("SELECT id FROM S3Object WHERE UTCNOW() = 5", "InvalidDataType"),
]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("n > 0", "1 2 4 6"),
        ("n = 0", "3"),
        ("n <> 0", "1 2 4 5 6"),
        ("n IN (0, 1)", "3"),
        ("n BETWEEN 1 AND 5.5", ""),
        ("n > 5", "2 4 6"),
        ("n > 5.5", "2 4 6"),
        ("n > 9007199254740992", "2 4 6"),
        ("n > CAST('0' AS INT)", "1 2 4 6"),
        ("n = CAST('0' AS INT)", "3"),
        ("n > CAST('5.5' AS DECIMAL(10, 1))", "2 4 6"),
        ("n = 9007199254740993", "6"),
    ],
)
def test_numbers_beyond_ten_digits_after_the_point_and_large_ones_are_compared_as_they_are(run, condition, expected):
    numbers = ["1.2e-15", "1e30", "0", "99999999999999999999999999999", "-5e-12", "9007199254740993"]
    lines = "".join(f"{place},{number}\n" for place, number in enumerate([*numbers, "nan", "x", ""], 1))
    objects = "".join(f'{{"id":{place},"n":{number}}}\n' for place, number in enumerate(numbers, 1))
    found = run(f"SELECT id FROM S3Object WHERE {condition}", f"id,n\n{lines}".encode(), csv=USE)
    assert found.split() == expected.split()
    found = run(f"SELECT s.id FROM S3Object s WHERE {condition.replace('n ', 's.n ')}", objects.encode(), json=Json())
    assert found.split() == expected.split()


@pytest.mark.parametrize(("expression", "expected"), ROWS, ids=[row[0][:70] for row in ROWS])
def test_a_query_on_csv_gives_these_records(run, expression, expected):
    assert run(expression, PEOPLE, csv=USE) == expected


@pytest.mark.parametrize(("expression", "expected", "data"), JSON_ROWS, ids=[row[0][:70] for row in JSON_ROWS])
@pytest.mark.parametrize("lines", [True, False], ids=["lines", "document"])
def test_a_query_on_json_gives_these_records(run, expression, expected, data, lines):
    assert run(expression, data, json=Json(lines=lines), out=Json()) == expected


@pytest.mark.parametrize(("expression", "code"), REFUSED, ids=[row[0][:70] for row in REFUSED])
def test_what_is_not_of_the_dialect_is_refused(fail, expression, code):
    assert fail(expression, PEOPLE, csv=USE) == code


HOSTILE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM S3Object, read_text('/etc/passwd')",
    "SELECT read_text('/etc/passwd') FROM S3Object",
    "SELECT getenv('HOME') FROM S3Object",
    "SELECT current_setting('temp_directory') FROM S3Object",
    "SELECT nextval('s') FROM S3Object",
    "SELECT pg_sleep(100) FROM S3Object",
    "COPY (SELECT 1) TO '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "SET memory_limit = '1TB'",
    "SELECT * FROM S3Object WHERE id = '1' UNION ALL SELECT * FROM duckdb_settings()",
    "SELECT id::INT FROM S3Object",
    "SELECT id FROM S3Object WHERE id = $p0",
    "SELECT id FROM S3Object WHERE id = ?",
    "SELECT id FROM S3Object /* */",
    "SELECT id FROM S3Object[*].'x'",
    "WITH x AS (SELECT 1) SELECT * FROM S3Object",
    "SELECT COLUMNS(*) FROM S3Object",
    "SELECT {'a': 1} FROM S3Object",
    "SELECT [1] FROM S3Object",
    "SELECT x -> 1 FROM S3Object",
    "SELECT id FROM S3Object\0",
    "SELECT 'a\0b' FROM S3Object",
]


@pytest.mark.parametrize("expression", HOSTILE)
def test_nothing_but_the_dialect_reaches_the_engine(fail, expression):
    assert fail(expression, PEOPLE, csv=USE)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE t; --", "' OR '1'='1", "$p0", "\\'", "?", "%s", "{0}", "\u2019; COPY", "\\", "'" * 1000]
)
def test_a_literal_is_itself_whatever_stands_in_it(run, text):
    quoted = text.replace("'", "''")
    found = run(
        f"SELECT '{quoted}' AS a FROM S3Object WHERE '{quoted}' = '{quoted}' LIMIT 1",
        PEOPLE,
        csv=USE,
        out=Csv(quote=""),
    )
    assert found == text + "\n"


def test_names_of_columns_are_themselves_whatever_stands_in_them(run):
    for name in ("a'b", "c);--", "$p0", "x y", "'"):
        data = f'"{name}",other\n1,2\n'.encode()
        assert run(f'SELECT s."{name}" FROM S3Object s', data, csv=USE) == "1\n"
        assert run(f'SELECT s."{name}" AS "{name}" FROM S3Object s', f'{{"{name}": 1}}'.encode(), json=Json()) == "1\n"


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000 + " FROM S3Object", "UnsupportedSqlOperation"),
        ("SELECT " + "-" * 5000 + "1 FROM S3Object", "UnsupportedSqlOperation"),
        ("SELECT 1" + " + 1" * 5000 + " FROM S3Object", "UnsupportedSqlOperation"),
        ("SELECT " + "LOWER(" * 5000 + "'a'" + ")" * 5000 + " FROM S3Object", "UnsupportedSqlOperation"),
        ("SELECT id FROM S3Object WHERE " + "id BETWEEN 1 AND 2 = " * 199 + "true", "UnsupportedSqlOperation"),
        ("SELECT '" + "x" * 300_000 + "' FROM S3Object", "ExpressionTooLong"),
        ("SELECT " + "CASE " * 30 + "id" + " WHEN 1 THEN 1 WHEN 2 THEN 2 WHEN 3 THEN 3 END" * 30 + " FROM S3Object", "ExpressionTooLong"),
    ],
    ids=["parentheses", "signs", "chain", "calls", "between", "length", "case"],
)  # fmt: skip
def test_expressions_are_bounded(fail, expression, code):
    assert fail(expression, PEOPLE, csv=USE) == code


def test_conditions_and_members_may_be_many(run):
    members = ", ".join(f"'{number}'" for number in range(5000))
    assert run(f"SELECT id FROM S3Object WHERE id IN ({members})", PEOPLE, csv=USE) == "1\n2\n3\n"
    many = " OR ".join(["id = 1"] * 190)
    assert run(f"SELECT id FROM S3Object WHERE {many}", PEOPLE, csv=USE) == "1\n"
