"""compose.caddy.yaml: its Caddyfile is one, and its settings are settings."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from s3ish.config_sources import load

COMPOSED = yaml.safe_load((Path(__file__).parents[2] / "docs/examples/compose.caddy.yaml").read_text())


@pytest.mark.parametrize("host", ["localhost", "s3.example.com"])
def test_the_settings_of_the_server_can_be_used(host):
    given = COMPOSED["services"]["s3"]["environment"]
    settings = load(
        environment={
            name: text.replace("${HOST:-localhost}", host).partition(":?")[0].replace("${", "")
            for name, text in given.items()
        }
    )
    assert settings.server.public_hosts == (host, "s3:9000")
    assert settings.server.url == f"https://{host}"
    proxy = COMPOSED["services"]["caddy"]["networks"]["default"]["ipv4_address"]
    assert settings.server.trusted_proxies == (proxy,)


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_caddy_takes_its_file(tmp_path):
    file = tmp_path / "Caddyfile"
    file.write_text(COMPOSED["configs"]["caddyfile"]["content"].replace("$$", "$"))
    adapted = subprocess.run(
        ["caddy", "adapt", "--adapter", "caddyfile", "--config", file],
        env={"HOST": "localhost", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert adapted.returncode == 0, adapted.stderr
    assert '"dial":"s3:9000"' in adapted.stdout
