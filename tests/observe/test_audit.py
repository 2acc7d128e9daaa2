"""The audit log as a file: one line a request, also when the file is moved away or cannot be written."""

import json
from datetime import UTC, datetime

import pytest
import structlog

from s3ish.observe.audit import AuditLine, AuditLog, require

NOW = datetime(2026, 1, 31, 12, 1, 2, tzinfo=UTC)


def line(**fields):
    told = {"request_id": "0123", "caller": "arn:aws:iam::000000000000:root", "operation": "GetObject", "status": 200}
    return AuditLine(**(told | {"time": NOW, "client": "192.0.2.1", "decision": "allowed"} | fields))


def read(file):
    return [json.loads(text) for text in file.read_text().splitlines()]


def test_lines_are_json_and_the_file_is_private(tmp_path):
    file = tmp_path / "audit.jsonl"
    audit = AuditLog(file)
    audit.add(line(key="a\nb\x1b[2J", agent="x" * 5000))
    audit.close()
    (told,) = read(file)
    assert told["time"] == "2026-01-31T12:01:02Z"
    assert told["key"] == "a\\nb\\x1b[2J"
    assert len(told["agent"]) == 1024
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_moved_away_gets_no_further_lines(tmp_path):
    file = tmp_path / "audit.jsonl"
    audit = AuditLog(file)
    audit.add(line(request_id="1"))
    file.rename(tmp_path / "old")
    audit.add(line(request_id="2"))
    (tmp_path / "old").rename(file)  # another file by that name
    audit.add(line(request_id="3"))
    audit.close()
    assert [told["request_id"] for told in read(file)] == ["1", "3"]


def test_lines_are_appended_to_those_of_before(tmp_path):
    file = tmp_path / "audit.jsonl"
    for number in range(3):
        audit = AuditLog(file)
        audit.add(line(request_id=str(number)))
        audit.close()
    assert [told["request_id"] for told in read(file)] == ["0", "1", "2"]


def test_a_file_that_cannot_be_made_is_said_before_a_start(tmp_path):
    file = tmp_path / "missing" / "audit.jsonl"
    with pytest.raises(OSError, match=rf"^cannot write the audit log {file} \(log.audit\): No such file or directory$"):
        require(str(file))
    require(str(tmp_path / "audit.jsonl"))
    require("")


def test_a_worker_that_cannot_open_the_file_says_so_and_writes_when_it_can(tmp_path):
    folder = tmp_path / "logs"
    with structlog.testing.capture_logs() as logged:
        audit = AuditLog(folder / "audit.jsonl")
        audit.add(line(request_id="1"))
    assert [entry["event"] for entry in logged] == ["the audit log cannot be written"]
    folder.mkdir()
    audit.add(line(request_id="2"))
    audit.close()
    assert [told["request_id"] for told in read(folder / "audit.jsonl")] == ["2"]


def test_what_cannot_be_written_is_logged_once_and_written_when_it_can_be(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    audit = AuditLog(folder / "audit.jsonl")
    folder.rename(tmp_path / "gone")
    with structlog.testing.capture_logs() as logged:
        audit.add(line(request_id="1"))
        audit.add(line(request_id="2"))
    assert [entry["event"] for entry in logged] == ["the audit log cannot be written"]
    folder.mkdir()
    audit.add(line(request_id="3"))
    audit.close()
    assert [told["request_id"] for told in read(folder / "audit.jsonl")] == ["3"]
