"""The examples for Testcontainers: they parse, and what each says of its container serves what it then asks for.

No test has Docker: what the examples start is started by the image's entry point, as a plain command.
"""

import ast
import re
import shutil
import subprocess

import boto3
import pytest

from tests.pages.page import TASKS, blocks
from tests.pages.stand_ins import of_image

EXAMPLES = {block.language: block for block in blocks((TASKS / "testcontainers.md").read_text()) if block.title}
PARSERS = {
    "java": ["javac", "-XDshould-stop.ifNoError=PARSE", "-XDshould-stop.ifError=PARSE"],
    "go": ["gofmt", "-l"],
    "javascript": ["node", "--check"],
}
STRING = r"\"([^\"]*)\""
SAYS = {
    "java": {
        "image": rf"GenericContainer<>\({STRING}\)",
        "command": r"withCommand\((.*?)\)",
        "variables": r"withEnv\((.*?)\)",
        "port": r"withExposedPorts\((\d+)\)",
        "path": rf"forHttp\({STRING}\)",
    },
    "go": {
        "image": rf"Image: +{STRING}",
        "command": r"Cmd: +\[\]string\{(.*?)\}",
        "variables": r"Env: +map\[string\]string\{(.*?)\}",
        "port": r"ExposedPorts: +\[\]string\{\"(\d+)/tcp\"\}",
        "path": rf"ForHTTP\({STRING}\)",
    },
    "javascript": {
        "image": rf"GenericContainer\({STRING}\)",
        "command": r"withCommand\(\[(.*?)\]\)",
        "variables": r"withEnvironment\((.*?)\)",
        "port": r"withExposedPorts\((\d+)\)",
        "path": rf"forHttp\({STRING}",
    },
}
"""Where the code of a language says what its container is. Python's is ``S3ishContainer``: tests/test_testing.py."""


def said(language):
    """Return what an example says of its container."""
    return {name: re.search(pattern, EXAMPLES[language].text)[1] for name, pattern in SAYS[language].items()}


def test_there_is_an_example_for_each_language():
    assert set(EXAMPLES) == {*SAYS, "python"}
    ast.parse(EXAMPLES["python"].text)
    assert 'S3ishContainer("s3ish:test", buckets=("uploads",))' in EXAMPLES["python"].text


@pytest.mark.slow
@pytest.mark.parametrize("language", PARSERS)
def test_an_example_parses(language, tmp_path):
    command = PARSERS[language]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    file = tmp_path / EXAMPLES[language].title
    file.write_text(EXAMPLES[language].text)
    parsed = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    assert (parsed.returncode, parsed.stdout, parsed.stderr) == (0, "", "")


@pytest.mark.parametrize("language", SAYS)
def test_what_an_example_starts_serves_what_it_asks_for(language, start_server):
    says = said(language)
    image, _, target = says["image"].partition(":")
    entry, _, variables = of_image(target)
    assert (image, entry, says["port"], says["path"]) == ("s3ish", ["s3ish"], "9000", "/-/ready")
    verb, *arguments = re.findall(STRING, says["command"])
    assert verb == "serve"
    given = dict(re.findall(r"\"?(S3ISH_\w+)\"?[:,] *\"(\w+)\"", says["variables"]))
    server = start_server(*arguments, **{**variables, "S3ISH_HOST": "0.0.0.0", **given})
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    s3.put_object(Bucket="uploads", Key="a", Body=b"x")
    assert s3.get_object(Bucket="uploads", Key="a")["Body"].read() == b"x"
    keys = re.findall(
        r"(?:AwsBasicCredentials.create|NewStaticCredentialsProvider)\((.*?)\)|credentials: \{(.*?)\}",
        EXAMPLES[language].text,
    )
    assert re.findall(STRING, "".join(keys[0]))[:2] == ["test", "test"]
