"""What commands print for programs, and how they end: the same for all."""

import base64
import json
import re

import boto3
import click
import pytest

from s3ish.app import jobs
from s3ish.cli.main import main
from s3ish.cli.upkeep import JOBS
from tests.objects.support import World

MASTER_KEY = base64.b64encode(bytes(32)).decode()
NO_REPORT = {
    "serve": "serves; the log has a form of its own",
    "server": "its --json is MinIO's: the log is JSON",
    "cert": "writes files",
    "presign": "prints a URL, and nothing else",
    "completion": "prints a script",
    "man": "prints a page",
    "key create": "prints an ARN, and nothing else",
    "key enable": "prints nothing",
    "key disable": "prints nothing",
    "key rm": "prints nothing",
    "key rotate": "its exit code says whether it is done",
    "key rewrap": "its exit code says whether it is done",
    "quota set": "prints nothing",
    "replicate": "prints nothing; jobs shows how far it is",
}
"""Commands without --json, and why. All others report something that a program may want to read."""

ASK_SERVER = {"user", "group", "policy", "role", "explain", "presign", "healthcheck"}
"""Commands that are about a server, by their first word."""

ON_STORE = {
    "check": (),
    "heal": (),
    "index rebuild": (),
    "volumes": (),
    "du": (),
    "jobs": (),
    "quota ls": (),
    "job": ("garbage", "--once"),
}
"""Commands on a store that report something, with the arguments that they need."""


def leaves(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        elif not command.hidden:
            yield " ".join((*path, name)), command


def test_what_reports_something_does_so_in_json():
    without = {
        name
        for name, command in leaves(main)
        if not any("--json" in param.opts for param in command.params) or name == "server"
    }
    assert without == set(NO_REPORT)


@pytest.fixture
def store(start_server, tmp_path):
    """Three volumes with an object, whose server has ended."""
    drives = [tmp_path / f"drive{number}" for number in range(3)]
    for drive in drives:
        drive.mkdir()
    server = start_server(*drives)
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="s3ishadmin",
        aws_secret_access_key="s3ishadmin",
        region_name="us-east-1",
    )
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="cat", Body=bytes(100_000))
    server.stop()
    return drives


@pytest.fixture
def run(run_s3ish, store):
    """A function that runs a command on the store, and returns its exit code and the objects that it prints."""
    named = [argument for drive in store for argument in ("--volume", drive)]

    def run(name, **variables):
        ended = run_s3ish(*name.split(), *ON_STORE.get(name, ()), *named, "--json", **variables)
        assert ended.stderr.replace("checking", "").strip() == ""
        return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]

    return run


def test_every_report_is_an_object_a_line(run, store, run_s3ish):
    run_s3ish("quota", "set", "bucket", "photos", "--bytes", "1MB", *(f"--volume={drive}" for drive in store))
    printed = {}
    for name in ON_STORE:
        code, printed[name] = run(name)
        assert code == 0, name
        assert all(isinstance(it, dict) for it in printed[name])
    sums = {"damaged": 0, "lost": 0, "repaired": 0, "orphan": 0}
    assert printed["check"][-1] == printed["heal"][-1] == {"blobs": 2, "bytes": 100_000, **sums}
    assert printed["index rebuild"] == [{"buckets": 1, "versions": 1}]
    *volumes, known = printed["volumes"]
    assert [(it["volume"], it["root"], it["state"]) for it in volumes] == [
        (number, str(drive), "ok") for number, drive in enumerate(store)
    ]
    assert all(it["free_bytes"] > 0 for it in volumes)
    assert (known["out_of_reach"], known["index_gaps"]) == ([], 0)
    assert printed["du"][0]["bucket"] == "photos"
    assert printed["quota ls"] == [
        {"bucket": "photos", "most_bytes": 1_000_000, "most_objects": None, "bytes": 100_000, "objects": 1}
    ]
    assert printed["job"] == [{"job": "garbage", "steps": 1}]


def test_damage_is_in_the_objects_and_in_the_exit_code(run, store):
    shards = (path for kind in ("data", "parity") for path in store[1].rglob(f"{kind}.*") if "photos" in str(path))
    shard = next(shards)
    shard.unlink()
    code, (finding, volume, sums) = run("check")
    assert code == 1
    assert (finding["name"], finding["state"]) == ("photos/cat version null", "damaged")
    assert (volume["lacked"], sums["damaged"]) == (1, 1)
    code, (finding, _, sums) = run("heal")
    assert code == 0
    assert (finding["state"], sums["repaired"]) == ("repaired", 1)
    assert run("check")[0] == 0


def test_a_volume_that_is_away_is_in_the_objects_and_in_the_exit_code(run, store):
    store[2].rename(store[2].parent / "away")
    code, printed = run("volumes")
    assert code == 1
    assert [it["state"] for it in printed[:-1]].count("ok") == 2


def test_named_keys_are_objects(run, run_s3ish, store):
    given = {"S3ISH_MASTER_KEY": MASTER_KEY}
    assert (
        run_s3ish("key", "create", "--alias", "alias/a", *(f"--volume={it}" for it in store), **given).returncode == 0
    )
    code, (key,) = run("key ls", **given)
    assert code == 0
    assert (key["state"], key["newest_number"], key["aliases"]) == ("Enabled", 1, ["alias/a"])


@pytest.mark.parametrize("name", ["key ls", "quota ls", "du"])
def test_nothing_is_said_to_be_nothing_and_is_no_line_for_programs(start_server, run_s3ish, tmp_path, name):
    given = {"S3ISH_MASTER_KEY": MASTER_KEY}
    volume = tmp_path / "volume"
    start_server(volume, **given)
    told = run_s3ish(*name.split(), volume, **given)
    assert told.returncode == 0
    assert re.fullmatch(r"s3ish: (there are no|no|nothing) .*\n", told.stderr)
    told = run_s3ish(*name.split(), volume, "--json", **given)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_volumes_are_given_by_one_option_everywhere():
    without = {name for name, command in leaves(main) if not any("--volume" in param.opts for param in command.params)}
    assert {name for name in without if name.split()[0] not in ASK_SERVER} == {"cert", "completion", "man"}


def test_a_job_that_is_none_is_wrong_usage_wherever_the_store_is(run_s3ish, tmp_path):
    for arguments in ((), ("--volume", tmp_path / "gone"), ("--config", tmp_path / "gone.toml")):
        ended = run_s3ish("job", "NOSUCH", "--once", *arguments)
        assert ended.returncode == 2
        assert "'garbage', 'orphans', 'lifecycle', 'inventory'" in ended.stderr


async def test_the_jobs_that_the_command_knows_are_those_that_there_are(tmp_path):
    world = World(tmp_path)
    assert [job.name for job in jobs(world.open())] == list(JOBS)
    await world.close()


@pytest.mark.parametrize("name", [*ON_STORE, "key ls"])
def test_exit_codes_are_the_same_for_all(run_s3ish, tmp_path, name):
    words = [*name.split(), *ON_STORE.get(name, ())]
    given = {"S3ISH_MASTER_KEY": MASTER_KEY}
    assert run_s3ish(*words, "--volume", tmp_path / "gone", **given).returncode == 1
    assert run_s3ish(*words, "--nonsense").returncode == 2
    assert run_s3ish(*words, "--config", tmp_path / "gone.toml").returncode == 78
    ended = run_s3ish(*words, S3ISH_PORT="many")
    assert (ended.returncode, ended.stdout) == (78, "")
