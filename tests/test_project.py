"""What a stranger with a patch needs: workflows and forms that are valid, and documents that name what there is."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import s3ish

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
YAML_FILES = [
    *sorted(GITHUB.rglob("*.yml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "compose.yaml",
    *sorted((ROOT / "docs/examples").glob("compose.*.yaml")),
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.M))
PAGES = ("README.md", "CONTRIBUTING.md", ".github/pull_request_template.md")


@pytest.fixture(scope="module")
def parse():
    """A function that reads a YAML file."""
    return lambda path: yaml.safe_load(path.read_text())


def jobs(workflow):
    return workflow["jobs"].values()


def steps(workflow):
    return [step for job in jobs(workflow) for step in job.get("steps", ())]


def commands(workflow):
    return "\n".join(step.get("run", "") for step in steps(workflow))


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_what_is_written_in_yaml_can_be_read(path, parse):
    assert parse(path)


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_workflows_have_limits_and_use_tagged_actions(name, parse):
    workflow = parse(GITHUB / "workflows" / name)
    assert workflow["permissions"] == {"contents": "read"}
    for job in jobs(workflow):
        assert "uses" in job or job["timeout-minutes"] <= 60
    for step in steps(workflow):
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step.get("uses", "a/b@v1.0.0")), step


def test_ci_runs_the_same_script_on_every_python_that_is_promised(parse):
    workflow = parse(GITHUB / "workflows/ci.yml")
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    named = [it.rpartition(" ")[2] for it in PROJECT["classifiers"] if "Python :: 3." in it]
    assert versions == named
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert workflow["jobs"]["test"]["steps"][-1] == {"run": ".ci/run"}


def test_ci_runs_what_the_readme_tells_a_newcomer_to_run(parse):
    readme = (ROOT / "README.md").read_text()
    run = (ROOT / ".ci/run").read_text() + commands(parse(GITHUB / "workflows/ci.yml"))
    for command in ("make serve", "make test", "pip install .", "docker compose up"):
        assert command in readme
        assert command in run


def test_a_release_waits_for_the_tests_and_holds_no_secret_of_the_package_index(parse):
    release = parse(GITHUB / "workflows/release.yml")["jobs"]
    assert release["test"]["uses"] == "./.github/workflows/ci.yml"
    assert release["build"]["needs"] == "test"
    assert release["pypi"]["permissions"] == {"id-token": "write"}
    assert "secrets" not in str(release["pypi"])


def test_a_release_has_an_image_for_both_architectures(parse):
    steps = parse(GITHUB / "workflows/release.yml")["jobs"]["image"]["steps"]
    (built,) = [step["with"] for step in steps if "build-push-action" in step["uses"]]
    assert built["platforms"] == "linux/amd64,linux/arm64"
    assert built["push"] is True
    assert any("setup-qemu-action" in step["uses"] for step in steps)


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_issue_forms_ask_for_something(name, parse):
    form = parse(GITHUB / f"ISSUE_TEMPLATE/{name}.yml")
    assert {"name", "description", "body"} <= set(form)
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked)
    assert all(field["attributes"]["label"] for field in asked)


def test_a_hook_before_each_commit_runs_what_make_test_runs(parse):
    (repository,) = parse(ROOT / ".pre-commit-config.yaml")["repos"]
    for hook in repository["hooks"]:
        command = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude")
        assert f"$(BIN)/{command}" in MAKEFILE


def test_the_changelog_tells_of_this_version_and_of_what_comes():
    titles = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert titles[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(PROJECT['version'])}\] - \d{{4}}-\d\d-\d\d", titles[1])
    assert s3ish.__version__ == PROJECT["version"]


def test_the_package_tells_type_checkers_that_it_has_types():
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "s3ish/py.typed").exists()
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"] == {"packages": ["s3ish"]}, "every file of the package, those without .py included"
    assert "/s3ish" in build["sdist"]["include"]


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_and_paths_that_are_named_exist(page):
    text = (ROOT / page).read_text()
    assert set(re.findall(r"\bmake ([a-z]+)\b", " ".join(re.findall(r"`[^`]+`|^\$ .*", text, re.M)))) <= TARGETS
    for name in re.findall(r"`((?:s3ish|tests|docs|compat|\.ci|\.github)/[\w./-]*)`", text):
        assert (ROOT / name.replace("FEATURE", "multipart")).exists(), name
