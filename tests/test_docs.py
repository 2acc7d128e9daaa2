"""The documents held against the program: everything that exists is told of, and nothing that does not."""

import json
import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path

import click
import openapi_spec_validator
import pytest
import yaml
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from compat.programs import __main__ as programs
from s3ish import errors
from s3ish.cli.main import main
from s3ish.config import ALIASES, fields
from s3ish.server.health import PATHS
from s3ish.tables.catalogue import TABLES
from tests.docs_counts import BLOCK, metrics, pages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def rows(page, section=""):
    """Yield the cells of every table row of a page, or of one of its sections."""
    text = (DOCS / page).read_text()
    if section:
        text = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_operation_is_listed_and_counted():
    for path, text in pages():
        assert path.read_text() == text, "run: python -m tests.docs_counts --write"


def test_every_error_is_listed_with_its_status_and_text():
    listed = {(row[0].strip("`"), row[1], row[2]) for row in rows("errors.md")} - {("code", "status", "message")}
    known = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.S3Error)}
    assert listed == {(kind.code, str(kind.status), kind.text) for kind in known - {errors.S3Error}}


def test_metrics_are_named_by_the_rules_of_prometheus():
    """https://prometheus.io/docs/practices/naming/"""
    found = metrics()
    assert len(found) >= 66
    for name, (kind, labels, text) in found.items():
        assert re.fullmatch(r"s3ish_[a-z0-9]+(_[a-z0-9]+)*", name)
        assert (kind == "counter") == name.endswith("_total"), name
        assert not name.endswith(("_count", "_sum", "_bucket", "_milliseconds", "_ms", "_kb")), name
        assert kind != "histogram" or name.endswith(("_seconds", "_bytes", "_commits")), name
        assert text[0].isupper() or text[0].isdigit(), name
        assert text.endswith("."), name
        assert not {"le", "quantile", "instance", "job"} & set(labels), name


def series_named(text):
    """Return the names of metrics in a text, without what a histogram adds."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bs3ish_[a-z0-9_]+", text)}


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are():
    dashboard = json.loads((DOCS / "dashboards/s3ish.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = yaml.safe_load((DOCS / "dashboards/alerts.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked += [alert["expr"] for alert in alerts]
    known = metrics()
    for expression in asked:
        assert series_named(expression), expression
        assert series_named(expression) <= set(known), expression
        for name, labels in re.findall(r"(s3ish_\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)[=!~]", labels)) - {"le"}
            (plain,) = series_named(name)
            assert used <= set(known[plain][1]), expression
    for alert in alerts:
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in ("warning", "critical")
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert len({name for expression in asked for name in series_named(expression)}) >= 40


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_finds_nothing_in_the_alerts():
    checked = subprocess.run(
        ["promtool", "check", "rules", DOCS / "dashboards/alerts.yaml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_takes_the_settings_that_scrape_a_server(tmp_path):
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "metrics.md").read_text(), re.M | re.S)
    (tmp_path / "alerts.yaml").write_text((DOCS / "dashboards/alerts.yaml").read_text())
    (tmp_path / "prometheus.yml").write_text(f"rule_files: [alerts.yaml]\n{shown}")
    checked = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 rule files found" in checked.stdout


SPECIFICATIONS = sorted(path for path in DOCS.glob("*.yaml"))


@pytest.mark.parametrize("path", SPECIFICATIONS, ids=lambda path: path.stem)
def test_descriptions_of_interfaces_are_openapi(path):
    openapi_spec_validator.validate(yaml.safe_load(path.read_text()))


def test_a_description_with_a_wrong_field_is_refused():
    described = yaml.safe_load(SPECIFICATIONS[0].read_text())
    described["paths"]["/-/admin/users"] = {"get": {"respones": {}}}
    with pytest.raises(OpenAPIValidationError):
        openapi_spec_validator.validate(described)


def test_every_short_name_of_a_setting_is_told_of():
    told = {}
    for setting, short, others in (row for row in rows("operating.md", "Settings") if len(row) == 3):
        told[setting.strip("`")] = (short.strip("`"), *re.findall(r"`(\w+)`", others))
    told.pop("setting")
    assert told == ALIASES


def test_settings_named_in_the_documents_exist():
    sections = {dotted.partition(".")[0] for dotted in fields()}
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for section, name in re.findall(r"`([a-z]+)\.([a-z_]+)`", page.read_text()):
            if section in sections and name not in {"py", "md"}:
                assert f"{section}.{name}" in fields(), f"{page.name}: {section}.{name}"


def commands(group, prefix=""):
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_every_command_is_told_of():
    told = " ".join(row[0] for row in rows("operating.md", "Commands"))
    for name in commands(main):
        assert f"`s3ish {name}" in told


def test_every_program_that_is_run_against_a_server_is_in_the_page_and_passed():
    entries = tomllib.loads((ROOT / "compat" / "programs.toml").read_text())
    page = programs.PAGE.read_text()
    assert programs.page(list(programs.rows_of(page).values())) == page, "it is written by the runs alone"
    listed = {row[0].strip("`"): (row[1], row[2]) for row in rows("programs.md")}
    listed.pop("program")
    assert {name: does for name, (does, _) in listed.items()} == {name: it["does"] for name, it in entries.items()}
    assert {result for _, result in listed.values()} <= {"pass", "skipped"}
    sources = {path.stem for path in (ROOT / "compat" / "programs").iterdir() if not path.name.startswith("__")}
    assert sources == set(entries)


def test_a_program_that_hides_a_fault_of_the_server_has_failed():
    lines = [
        {"event": "request", "level": "info", "operation": "PutObject", "status": 200, "error": ""},
        {"event": "request", "level": "info", "operation": "GetObject", "status": 404, "error": "NoSuchKey"},
        {"event": "request", "level": "warning", "operation": "PutObject", "status": 503, "error": "SlowDown"},
        {"event": "request", "level": "warning", "operation": "PutObject", "status": 503, "error": "SlowDown"},
        {"event": "request", "level": "error", "operation": "Unknown", "status": 501, "error": "NotImplemented"},
        {"event": "access log not delivered", "level": "warning"},
        {"event": "drive away", "level": "error"},
    ]
    log = b"\n".join([b"Ready.", *(json.dumps(line).encode() for line in lines)])
    wanted = ["2 x PutObject 503 SlowDown", "1 x Unknown 501 NotImplemented", "1 x drive away"]
    assert programs.faults_in(log) == wanted


def test_every_path_beside_s3_is_told_of():
    told = set(re.findall(r"`(/[-.\w/]+)`", " ".join(row[0] for row in rows("operating.md", "Health, metrics, logs"))))
    assert told == set(PATHS)


def test_every_table_of_the_index_is_told_of():
    told = {row[0].strip("`") for row in rows("architecture.md", "The index")} - {"table"}
    assert told == {table.name for table in TABLES}


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def leaves(entries):
    for entry in entries:
        for to in entry.values():
            yield from leaves(to) if isinstance(to, list) else (to,)


def test_the_navigation_has_every_page_once():
    named = sorted(leaves(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    pages = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert named == [page for page in pages if not page.startswith("decisions/")]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_links_of_a_page_stay_on_the_site(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).resolve().is_relative_to(DOCS), target
            assert (page.parent / target).is_file(), f"{target} is no page of the site"


def test_every_decision_has_a_number_of_its_own_and_is_called_by_it():
    numbers = sorted(int(page.name.partition("-")[0]) for page in (DOCS / "decisions").iterdir())
    assert numbers == list(range(1, len(numbers) + 1)), "take the next free number"
    for page in (DOCS / "decisions").iterdir():
        number = int(page.name.partition("-")[0])
        assert page.read_text().startswith(f"# {number}. "), page.name
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        for told, led in re.findall(r"\[decision (\d+)\]\([^)]*?(\d{4})-", page.read_text()):
            assert int(told) == int(led), page.name


def test_the_container_file_starts_what_the_command_line_knows(run_s3ish):  # case 136
    text = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["s3ish"]' in text
    assert 'CMD ["serve"]' in text
    check = re.search(r'HEALTHCHECK .*CMD \["s3ish", "(\w+)"\]', text)
    assert check
    assert check[1] in main.commands
    server, for_tests = text.split("FROM server AS test")
    assert re.findall(r"S3ISH_\w+=\S+", for_tests) == ["S3ISH_ALLOW_WELL_KNOWN_KEYS=true"]
    assert for_tests.rstrip().endswith("FROM server"), "what is built unless a target is named"
    given = dict(re.findall(r"(S3ISH_\w+)=(\S+)", server))
    refused = run_s3ish("serve", "--port", "0", **given)
    assert refused.returncode == 78, "in a container the development keys must not be served to others"
    assert "S3ISH_SECRET_KEY" in refused.stderr


def test_every_plot_is_shown_and_small_and_has_its_numbers():
    shown = set(re.findall(r"\]\((plots/\w+)\.svg\)", "".join(page.read_text() for page in DOCS.glob("*.md"))))
    assert shown == {f"plots/{path.stem}" for path in (DOCS / "plots").iterdir()}
    for name in shown:
        assert (DOCS / f"{name}.svg").stat().st_size < 60_000
        panels = json.loads((DOCS / f"{name}.json").read_text())["panels"]
        assert all(panel["lines"] for panel in panels)


def test_the_glossary_is_sorted_and_explains_words_that_the_code_uses():
    words = [row[0] for row in rows("architecture.md", "Glossary")][1:]
    assert words == sorted(set(words))
    code = " ".join(path.read_text() for path in (ROOT / "s3ish").rglob("*.py")).lower()
    assert not [word for word in words if not re.search(rf"\b{word}|\b{word.replace(' ', '_')}", code)]


ADDING = (DOCS / "adding-an-operation.md").read_text()


def test_the_code_that_shows_how_to_add_an_operation_is_that_of_the_files():
    blocks = re.findall(BLOCK, ADDING, re.M | re.S)
    assert len(blocks) == ADDING.count("```python") > 4
    for name, block in blocks:
        code = re.sub("^   ", "", block, flags=re.M)
        compile(textwrap.dedent(code), name, "exec")
        assert code in (ROOT / name).read_text(), f"{name} does not have:\n{code}"


def test_the_files_that_adding_an_operation_names_exist():
    names = set(re.findall(r"`((?:s3ish|tests|docs|compat)/[\w/.-]*|\w+\.md)`", ADDING))
    assert len(names) > 12
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert len(re.findall(r"^\d+\. \*\*", ADDING, re.M)) == 10
