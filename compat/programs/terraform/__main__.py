"""Terraform with the AWS provider: applied, compared, changed, compared, used, removed; its state is in a bucket.

``--install FOLDER`` fetches the provider. Where its registry cannot be reached, Terraform's own settings name a copy
(``TF_CLI_ARGS_init=-plugin-dir=…``). ``FOLDER`` runs it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3

SOURCES = Path(__file__).parent
STEPS = (Path(), Path("session"))
"""The folders with a configuration: what is made, and what a session of its role does then."""


def terraform(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a command of Terraform in a folder, and return what it prints; another exit code ends the program."""
    command = ["terraform", f"-chdir={folder}", *arguments]
    own = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    ended = subprocess.run(command, env=os.environ | own | environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(ended.stdout, ended.stderr, sep="\n", file=sys.stderr)
        said = " ".join(ended.stderr.replace("│", "").split())
        sys.exit(f"terraform {arguments[0]} ended with {ended.returncode}: {said}")
    return ended.stdout


def lay(folder: Path) -> None:
    """Copy the configurations, and forget where the state of a run before this one was."""
    for step in STEPS:
        (folder / step).mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCES / step / "main.tf", folder / step / "main.tf")
        for state in ("terraform.tfstate", ".terraform/terraform.tfstate"):
            (folder / step / state).unlink(missing_ok=True)


def install(folder: Path) -> None:
    """Fetch the provider for each configuration."""
    lay(folder)
    for step in STEPS:
        terraform(folder / step, "init", "-backend=false", "-no-color")


def make_queue(name: str) -> str:
    """Make a queue that events can go to, and return its ARN."""
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    return str(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def settle(folder: Path, given: dict[str, str]) -> None:
    """Apply what the variables say, and plan again: nothing is left to change."""
    terraform(folder, "apply", "-auto-approve", "-no-color", **given)
    terraform(folder, "plan", "-detailed-exitcode", "-no-color", **given)


def run(folder: Path) -> str:
    """Apply, plan again, use what was made, change each document, plan again, remove; return a word on it."""
    bucket = os.environ["BUCKET"]
    lay(folder)
    providers = f"-plugin-dir={(folder / '.terraform' / 'providers').resolve()}"
    terraform(folder, "init", "-reconfigure", f"-backend-config=bucket={bucket}", providers, "-no-color")
    given = {"TF_VAR_prefix": bucket, "TF_VAR_queue": make_queue(bucket)}
    settle(folder, given)
    made = json.loads(terraform(folder, "output", "-json"))
    theirs = {
        "AWS_ACCESS_KEY_ID": made["reader_key"]["value"],
        "AWS_SECRET_ACCESS_KEY": made["reader_secret"]["value"],
        "TF_VAR_role": made["role"]["value"],
    }
    terraform(folder / "session", "apply", "-auto-approve", "-no-color", **given, **theirs)
    caller = json.loads(terraform(folder / "session", "output", "-json"))["caller"]["value"]
    assert caller.endswith(f":assumed-role/{bucket}-writer/terraform"), caller
    terraform(folder / "session", "destroy", "-auto-approve", "-no-color", **given, **theirs)
    count = len(terraform(folder, "state", "list").splitlines())
    changed = {**given, "TF_VAR_changed": "true"}
    settle(folder, changed)
    terraform(folder, "destroy", "-auto-approve", "-no-color", **changed)
    left = terraform(folder, "state", "list").split()
    assert not left, left
    done = f"{count} resources applied, the same again without a change, each document changed"
    return f"{done}, a role assumed, all removed"


if __name__ == "__main__":
    if sys.argv[1] == "--install":
        install(Path(sys.argv[2]))
    else:
        print(run(Path(sys.argv[1])))
