"""Ansible: buckets with all that its modules can say of them, applied, applied again without a change, and removed."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BUCKET = os.environ["BUCKET"]
SOURCE, TARGET = f"{BUCKET}-source", f"{BUCKET}-target"
MODULES = (
    "amazon.aws.s3_bucket",
    "amazon.aws.s3_bucket_info",
    "community.aws.s3_cors",
    "community.aws.s3_lifecycle",
    "community.aws.s3_logging",
    "community.aws.s3_metrics_configuration",
    "community.aws.s3_website",
)
STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
    "Action": "s3:GetObject",
    "Resource": f"arn:aws:s3:::{SOURCE}/*",
}
BLOCK = dict.fromkeys(
    ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"), True
)
INVENTORY = {
    "id": "one",
    "schedule": "Daily",
    "included_object_versions": "All",
    "filter": "a/",
    "optional_fields": ["Size", "ETag"],
    "destination": {"bucket": f"arn:aws:s3:::{TARGET}", "format": "CSV"},
}
CORS = {
    "allowed_origins": ["https://*.example.com"],
    "allowed_methods": ["GET", "POST"],
    "allowed_headers": ["Authorization"],
    "expose_headers": ["ETag"],
    "max_age_seconds": 30000,
}
PRESENT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("amazon.aws.s3_bucket", {"name": TARGET, "versioning": True, "object_ownership": "BucketOwnerPreferred"}),
    (
        "amazon.aws.s3_bucket",
        {
            "name": SOURCE,
            "versioning": True,
            "tags": {"team": "a", "cost": "b"},
            "encryption": "AES256",
            "public_access": BLOCK,
            "object_ownership": "BucketOwnerEnforced",
            "policy": {"Version": "2012-10-17", "Statement": [STATEMENT]},
            "accelerate_enabled": True,
            "inventory": [INVENTORY],
        },
    ),
    (
        "community.aws.s3_lifecycle",
        {
            "name": SOURCE,
            "rule_id": "old",
            "prefix": "logs/",
            "expiration_days": 100,
            "transition_days": 30,
            "storage_class": "standard_ia",
            "noncurrent_version_expiration_days": 60,
        },
    ),
    (
        "community.aws.s3_lifecycle",
        {"name": SOURCE, "rule_id": "dated", "prefix": "d/", "expiration_date": "2090-12-30T00:00:00.000Z"},
    ),
    ("community.aws.s3_logging", {"name": SOURCE, "target_bucket": TARGET, "target_prefix": "logs/"}),
    ("community.aws.s3_cors", {"name": SOURCE, "state": "present", "rules": [CORS]}),
    (
        "community.aws.s3_website",
        {"name": SOURCE, "state": "present", "suffix": "index.html", "error_key": "404.html"},
    ),
    (
        "community.aws.s3_metrics_configuration",
        {"bucket_name": SOURCE, "state": "present", "id": "m", "filter_prefix": "a/", "filter_tags": {"k": "v"}},
    ),
)
ABSENT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("community.aws.s3_metrics_configuration", {"bucket_name": SOURCE, "state": "absent", "id": "m"}),
    ("community.aws.s3_website", {"name": SOURCE, "state": "absent"}),
    ("community.aws.s3_cors", {"name": SOURCE, "state": "absent"}),
    ("community.aws.s3_logging", {"name": SOURCE, "state": "absent"}),
    ("community.aws.s3_lifecycle", {"name": SOURCE, "rule_id": "dated", "state": "absent"}),
    ("community.aws.s3_lifecycle", {"name": SOURCE, "rule_id": "old", "state": "absent"}),
    ("amazon.aws.s3_bucket", {"name": SOURCE, "state": "absent", "force": True}),
    ("amazon.aws.s3_bucket", {"name": TARGET, "state": "absent", "force": True}),
)


def play(folder: Path, tasks: tuple[tuple[str, dict[str, Any]], ...]) -> int:
    """Carry out tasks and return how many of them changed something."""
    account = {
        "endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "access_key": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "region": os.environ["AWS_REGION"],
    }
    book = folder / "play.json"
    book.write_text(
        json.dumps(
            [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "vars": {"ansible_python_interpreter": sys.executable},
                    "module_defaults": dict.fromkeys(MODULES, account),
                    "tasks": [{name: arguments} for name, arguments in tasks],
                }
            ]
        )
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", book],
        env=os.environ
        | {"HOME": str(folder), "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"the play ended with {done.returncode}: {done.stdout[-900:]}"
    return done.stdout.count("\nchanged: ")


def main() -> None:
    """Apply, apply again, remove."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changed = play(folder, PRESENT)
        assert changed == len(PRESENT), f"{changed} of {len(PRESENT)} tasks changed something"
        assert play(folder, PRESENT) == 0, "what was applied comes back otherwise"
        changed = play(folder, ABSENT)
        assert changed == len(ABSENT), f"{changed} of {len(ABSENT)} tasks removed something"
    print(f"{len(PRESENT)} tasks applied, the same again without a change, {len(ABSENT)} removed")


if __name__ == "__main__":
    main()
