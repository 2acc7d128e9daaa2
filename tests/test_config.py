"""Settings: precedence, errors that name the key, and a config.toml that tells the truth."""

import re
import tomllib
from pathlib import Path

import pytest

from s3ish.config import ALIASES, DEVELOPMENT_KEY, ConfigError, Settings, fields, key_source, load, variables

ROOT = Path(__file__).parent.parent
FILE = ROOT / "config.toml"


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "s3ish.toml"
        path.write_text(text)
        return str(path)

    return write


def test_config_toml_holds_every_setting_with_its_default_and_description():
    text = FILE.read_text()
    given = tomllib.loads(text)
    assert load(environment={}, file=str(FILE)) == Settings()
    for dotted, description in fields().items():
        if dotted == "auth.users":
            assert "[[auth.users]]" in text
            continue
        section, name = dotted.split(".")
        assert name in given[section], dotted
        assert re.search(rf"^{name} = .*  # {re.escape(description)}$", text, re.M), dotted


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(toml):
    file = toml("[server]\nport = 1111\n")
    assert load(environment={}).server.port == 9000
    assert load(environment={}, file=file).server.port == 1111
    assert load(environment={"S3ISH_PORT": "2222"}, file=file).server.port == 2222
    assert load({"server.port": 3333}, {"S3ISH_PORT": "2222"}, file).server.port == 3333


def test_the_file_can_be_named_by_a_variable(toml):
    assert load(environment={"S3ISH_CONFIG": toml("[log]\nlevel = 'debug'\n")}).log.level == "debug"


def test_every_setting_has_a_variable_and_all_are_different():
    names = [name for dotted in fields() for name in variables(dotted)]
    assert len(names) == len(set(names))
    assert variables("erasure.parity") == ("S3ISH_ERASURE_PARITY",)
    assert variables("server.host")[:2] == ("S3ISH_HOST", "S3ISH_SERVER_HOST")
    assert set(ALIASES) <= set(fields())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nprot = 1\n", "unknown setting server.prot"),
        ("[sever]\nport = 1\n", "unknown setting sever"),
        ("[server]\nport = 'x'\n", "server.port: expected a whole number from 0 to 65535"),
        ("[server]\nport = 70000\n", "server.port: expected a whole number from 0 to 65535"),
        ("[server]\nport = 1.5\n", "server.port: expected a whole number"),
        ("[server]\nheader_timeout_seconds = 0\n", "server.header_timeout_seconds: expected a number above 0"),
        ("[server]\nbody_timeout_seconds = nan\n", "server.body_timeout_seconds: expected a number above 0"),
        ("[server]\nhost = 1\n", "server.host: expected a text"),
        ("[server]\nregion = ''\n", "server.region: expected a text, not empty"),
        ("[server]\nprot = 1\nport = -1\n", "see config.toml for all settings; server.port: expected"),
        ("[storage]\nvolumes = []\n", "storage.volumes: expected names, not empty"),
        ("[storage]\nvolumes = [1]\n", "storage.volumes: expected names"),
        ("[storage]\nfsync = 'maybe'\n", "storage.fsync: expected true or false"),
        ("[server\n", "not valid TOML"),
        ("server = 1\n", "server: expected a table"),
        ("[erasure]\ncoder = 'magic'\n", "erasure.coder: expected one of rs-cauchy-11d, rs-zfec, zfec"),
        ("[auth]\nusers = 1\n", "auth.users: expected a list of tables"),
        ("[auth]\nusers = [1]\n", "auth.users.0: expected a table"),
        ("[[auth.users]]\naccess_key = 'a'\nid = 'c'\n", "auth.users.0.secret_key is missing"),
        ("[[auth.users]]\naccess_key = ''\nsecret_key = 'b'\nid = 'c'\n", "auth.users.0.access_key: expected a text"),
        ("[[auth.users]]\naccess_key = 'a'\nsecret_key = ''\nid = 'c'\n", "auth.users: a secret key is empty"),
        ("[[auth.users]]\naccess_key = 'a'\nsecret_key = 'b'\nid = 'c'\nname = 'd'\n", "auth.users.0.name"),
    ],
)
def test_a_wrong_file_is_refused_by_name_of_the_key(toml, text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(environment={}, file=toml(text))


def test_a_secret_of_the_wrong_type_is_refused_without_showing_it(toml):
    with pytest.raises(ConfigError, match=r"auth\.secret_key: expected a text") as refused:
        load(environment={}, file=toml("[auth]\naccess_key = 'a'\nsecret_key = 271828\n"))
    assert "271828" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "dotted", "value"),
    [
        ("S3ISH_FSYNC", "false", "storage.fsync", False),
        ("S3ISH_FSYNC", "Off", "storage.fsync", False),
        ("S3ISH_FSYNC", "0", "storage.fsync", False),
        ("S3ISH_FSYNC", "yes", "storage.fsync", True),
        ("S3ISH_PORT", " 80 ", "server.port", 80),
        ("S3ISH_JOBS_SCRUB_DAYS", "0.5", "jobs.scrub_days", 0.5),
        ("S3ISH_VOLUMES", "/a, /b,/c,", "storage.volumes", ("/a", "/b", "/c")),
        ("S3ISH_LOG_LEVEL", "debug", "log.level", "debug"),
    ],
)
def test_variables_are_texts(name, text, dotted, value):
    section, member = dotted.split(".")
    assert getattr(getattr(load(environment={name: text}), section), member) == value


def test_users_stand_in_the_file(toml):
    file = toml("[[auth.users]]\naccess_key = 'a'\nsecret_key = 'b'\nid = 'c'\ndisplay_name = 'D'\n")
    (user,) = load(environment={}, file=file).auth.users
    assert (user.access_key, user.secret_key.reveal(), user.id, user.display_name) == ("a", "b", "c", "D")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        load(environment={}, file=str(tmp_path / "none.toml"))


def test_an_unknown_variable_is_refused():
    with pytest.raises(ConfigError, match="S3ISH_PROT"):
        load(environment={"S3ISH_PROT": "1"})


def test_secrets_may_come_from_files(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("long and random\n")
    environment = {"S3ISH_ACCESS_KEY": "root", "S3ISH_SECRET_KEY_FILE": str(secret)}
    assert load(environment=environment).root_keys == ("root", "long and random")
    with pytest.raises(ConfigError, match="S3ISH_SECRET_KEY_FILE"):
        load(environment=environment | {"S3ISH_SECRET_KEY_FILE": str(tmp_path / "none")})


def test_names_that_users_of_other_servers_have_are_understood():
    environment = {"MINIO_ROOT_USER": "a", "MINIO_ROOT_PASSWORD": "b", "MINIO_DOMAIN": "s3.test,s3.example"}
    settings = load(environment=environment)
    assert settings.root_keys == ("a", "b")
    assert settings.server.domains == ("s3.test", "s3.example")


def test_the_region_of_a_client_in_the_shell_does_not_move_the_server():
    assert (
        load(environment={"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-north-1"}).server.region == "us-east-1"
    )


def test_the_two_keys_are_never_mixed_from_two_programs():
    aws = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert load(environment=aws).root_keys == ("a", "b")
    assert key_source(aws) == "AWS_ACCESS_KEY_ID"
    assert load(environment=aws | {"S3ISH_ACCESS_KEY": "c", "S3ISH_SECRET_KEY": "d"}).root_keys == ("c", "d")
    with pytest.raises(ConfigError, match="set both"):
        load(environment=aws | {"S3ISH_ACCESS_KEY": "c"})
    assert key_source({}) == ""


def test_one_half_of_a_pair_of_keys_is_refused():
    for name in ("S3ISH_ACCESS_KEY", "S3ISH_SECRET_KEY"):
        with pytest.raises(ConfigError, match="set both"):
            load(environment={name: "x"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com", "127.evil.example", "localhost.evil"])
def test_well_known_keys_never_listen_to_others(host):  # case 136
    with pytest.raises(ConfigError, match="S3ISH_SECRET_KEY"):
        load({"server.host": host}, {})
    assert load({"server.host": host}, {"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY": "b"}).server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_well_known_keys_serve_this_machine(host):
    settings = load({"server.host": host}, {})
    assert settings.is_development
    assert settings.root_keys == (DEVELOPMENT_KEY, DEVELOPMENT_KEY)


def test_two_users_with_one_access_key_are_refused(toml):
    user = "[[auth.users]]\naccess_key = 'twin'\nsecret_key = 'x'\nid = 'y'\n"
    with pytest.raises(ConfigError, match="same access key"):
        load(environment={}, file=toml(user + user))


def test_fewer_volumes_than_shards_are_refused():
    with pytest.raises(ConfigError, match="at least 3 volumes"):
        load({"storage.volumes": ("a", "b")}, {})
    assert load({"storage.volumes": ("a", "b", "c")}, {}).storage.volumes == ("a", "b", "c")


def test_a_secret_is_never_shown():
    settings = load(environment={"S3ISH_ACCESS_KEY": "root", "S3ISH_SECRET_KEY": "hush", "S3ISH_METRICS_TOKEN": "hush"})
    assert "hush" not in repr(settings)
    assert "hush" not in f"{settings.auth} {settings.auth.secret_key}"
    assert settings.auth.secret_key.reveal() == settings.metrics.token.reveal() == "hush"
