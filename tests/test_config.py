"""Settings: precedence, errors that name the key, and a config.toml that tells the truth."""

import base64
import re
import tempfile
import tomllib
from pathlib import Path

import pytest

from s3ish.auth.ready_policies import READY
from s3ish.config import ALIASES, DEVELOPMENT_KEY, TABLE_LISTS, ConfigError, Settings, fields, variables
from s3ish.config_sources import WELL_KNOWN_SECRETS, key_source, load, shell_secret, variables_used

ROOT = Path(__file__).parent.parent
FOLDER = tempfile.gettempdir()
FILE = ROOT / "config.toml"
ARN = "arn:s3ish:sqs:us-east-1:1:orders:webhook"
WEBHOOK = "kind = 'webhook'\nurl = 'http://127.0.0.1:1/'\n"


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
        if dotted in TABLE_LISTS:
            assert f"[[{dotted}]]" in text
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
    assert {name for name in names if names.count(name) > 1} == {"GATEWAY_LISTEN"}, "which gives host and port"
    assert variables("erasure.parity") == ("S3ISH_ERASURE_PARITY",)
    assert variables("server.host")[:2] == ("S3ISH_HOST", "S3ISH_SERVER_HOST")
    assert set(ALIASES) <= set(fields())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nprot = 1\n", "unknown setting server.prot"),
        ("[sever]\nport = 1\n", "unknown setting sever"),
        ("[server]\nport = 'x'\n", "server.port: expected a whole number from 0 to 65535"),
        ("[server]\nport = 70000\n", "s3ish.toml: server.port: expected a whole number from 0 to 65535, not 70000"),
        ("[server]\nport = 'a\\nb'\n", "s3ish.toml: server.port: expected a whole number from 0 to 65535, not a\\nb"),
        ("[server]\nport = '" + "x" * 999 + "'\n", "not " + "x" * 100 + "…"),
        ("[server]\nhost = ''\n", "s3ish.toml: server.host: expected a text, not empty, not ''"),
        (
            "[server]\ndomains = ['s3.test', 'http://s3.test']\n",
            "s3ish.toml: server.domains: http://s3.test is not a host",
        ),
        ("[server]\ndomains = ['s3.test:9000']\n", "server.domains: s3.test:9000 is not a host name"),
        ("[server]\ncors_origins = ['https://*.*']\n", "server.cors_origins: https://*.* is not an origin"),
        ("[server]\ncors_origins = ['https://a.test/']\n", "server.cors_origins: https://a.test/ is not an origin"),
        ("[server]\ndomains = ['*.s3.test']\n", "server.domains: *.s3.test is not a host name"),
        ("[server]\ndomains = ['S3.test']\n", "server.domains: S3.test is not a host name in lower case"),
        ("[server]\ndomains = ['.s3.test']\n", "server.domains: .s3.test is not a host name"),
        ("[server]\nwebsite_domains = ['/']\n", "server.website_domains: / is not a host name"),
        ("[server]\ntrusted_proxies = ['proxy']\n", "s3ish.toml: server.trusted_proxies: proxy is not an address or"),
        ("[server]\ntrusted_proxies = ['10.0.0.0/33']\n", "server.trusted_proxies: 10.0.0.0/33 is not an address or"),
        ("[storage]\nvolumes = ['a', '']\n", "s3ish.toml: storage.volumes: '' is not a path"),
        ('[storage]\nvolumes = ["a\\u0000b"]\n', "s3ish.toml: storage.volumes: a\\x00b is not a path"),
        (
            "[storage]\ndefault_buckets = ['Big_Name']\n",
            "s3ish.toml: storage.default_buckets: Big_Name is not of the form",
        ),
        ("[storage]\ndefault_buckets = ['b:versoined']\n", "storage.default_buckets: b:versoined is not of the form"),
        ("[storage]\ndefault_buckets = ['']\n", "storage.default_buckets: '' is not of the form"),
        ("[server]\nport = 1.5\n", "server.port: expected a whole number"),
        ("[server]\nheader_timeout_seconds = 0\n", "server.header_timeout_seconds: expected a number above 0"),
        ("[server]\nbody_timeout_seconds = nan\n", "server.body_timeout_seconds: expected a number above 0"),
        ("[server]\nhost = 1\n", "server.host: expected a text"),
        ("[server]\nregion = ''\n", "server.region: expected a text, not empty"),
        ("[server]\nregion = '\"eu-west-1\"'\n", 's3ish.toml: server.region: "eu-west-1" is not a region such as'),
        ('[server]\nregion = "eu\\nx: y"\n', "server.region: eu\\nx: y is not a region such as eu-west-1"),
        ("[server]\nurl = 'http://s3.test/base'\n", "server.url: http://s3.test/base is not of the form http"),
        (f"[storage]\nindex = '{FOLDER}'\n", f"s3ish.toml: storage.index: {FOLDER} is not a file, with its folder"),
        ("[server]\nprot = 1\nport = -1\n", "server.prot; see config.toml for all settings; "),
        ("[storage]\nvolumes = []\n", "storage.volumes: expected names, not empty"),
        ("[storage]\nvolumes = [1]\n", "storage.volumes: expected names"),
        ("[storage]\nfsync = 'maybe'\n", "storage.fsync: expected true or false"),
        ("[server\n", "not valid TOML"),
        ("server = 1\n", "server: expected a table"),
        ("[erasure]\ncoder = 'magic'\n", "erasure.coder: expected one of rs-cauchy-11d, rs-zfec, zfec"),
        ("[auth]\nusers = 1\n", "auth.users: expected a list of tables"),
        ("[[encryption.keys]]\nalias = 'alias/a'\n", "encryption.keys needs encryption.master_key: openssl"),
        ("[[encryption.keys]]\nalias = 'alias/aws/s3'\n", "encryption.keys.0.alias"),
        ("[[encryption.keys]]\nalias = 'alias/a'\nid = 'x'\n", "encryption.keys.0.id"),
        (
            "[[encryption.keys]]\nalias = 'alias/a'\n[[encryption.keys]]\nalias = 'alias/a'\n",
            "encryption.keys: two keys have the same alias",
        ),
        ("[auth]\nusers = [1]\n", "auth.users.0: expected a table"),
        ("[[auth.users]]\naccess_key = 'a'\nid = 'c'\n", "auth.users.0.secret_key is missing"),
        ("[[auth.users]]\naccess_key = ''\nsecret_key = 'b'\nid = 'c'\n", "auth.users.0.access_key: expected a text"),
        ("[[auth.users]]\naccess_key = 'a'\nsecret_key = ''\nid = 'c'\n", "auth.users: a secret key is empty"),
        ("[[notifications.targets]]\narn = 'arn:aws:sqs:::q'\n", "notifications.targets.0.kind is missing"),
        (
            "[[notifications.targets]]\narn = 'a'\nkind = 'pigeon'\n",
            "kind: expected one of webhook, file, redis, nats, mqtt, kafka, amqp, postgresql",
        ),
        (f"[[notifications.targets]]\narn = 'a b'\n{WEBHOOK}", "notifications.targets: a b: arn is not of the form"),
        (f"[[notifications.targets]]\narn = '{ARN}'\nkind = 'webhook'\n", f"{ARN}: url is not of the form http"),
        (f"[[notifications.targets]]\narn = '{ARN}'\nkind = 'file'\n", f"{ARN}: path is empty"),
        *(
            (f"[[notifications.targets]]\narn = '{ARN}'\nkind = '{kind}'\nurl = '{url}'\ntopic = '{topic}'\n", says)
            for kind, url, topic, says in (
                ("amqp", "rediss://h", "t", f"{ARN}: url is not of the form amqp://"),
                ("redis", "redis://h/1?db=2", "t", f"{ARN}: url ends with what is not understood"),
                ("kafka", "kafka://h?sasl=gssapi", "t", f"{ARN}: url ends with what is not understood"),
                ("kafka", "kafka://h?SASL=plain", "t", f"{ARN}: url ends with what is not understood"),
                ("nats", "nats://h#a", "t", f"{ARN}: url ends with what is not understood"),
                (
                    "mqtt",
                    "mqtt://h",
                    f"t'\nca_file = '{FILE}",
                    f"{ARN}: ca_file is for TLS, and url is not of the form mqtts",
                ),
                ("amqp", "amqp://h/a/b", "t", f"{ARN}: url is not of the form amqp://"),
                ("postgresql", "postgresql://h/d", "t", f"{ARN}: url names no user"),
                ("postgresql", "postgresql://u@h/d", 'a"b', f"{ARN}: topic is not the name of a table"),
                ("postgresql", "postgresql://u@h/d", "a.b.c", f"{ARN}: topic is not the name of a table"),
            )
        ),
        (
            f"[[notifications.targets]]\narn = '{ARN}'\nkind = 'redis'\nurl = 'http://h'\ntopic = 't'\n",
            f"{ARN}: url is not of the form redis://",
        ),
        (
            f"[[notifications.targets]]\narn = '{ARN}'\nkind = 'nats'\nurl = 'nats://h'\ntopic = 'a.>'\n",
            f"{ARN}: topic is empty, or has characters",
        ),
        (f"[[notifications.targets]]\narn = '{ARN}'\n{WEBHOOK}" * 2, "two targets have the same arn"),
        (f'[[notifications.targets]]\narn = "{ARN}"\n{WEBHOOK}token = "a\\nb"\n', f"{ARN}: token has characters"),
        ("[notifications]\nbacklog_events = 0\n", "notifications.backlog_events: expected a whole number from 1"),
        (
            "[[auth.users]]\naccess_key = 'a'\nsecret_key = 'b'\nid = 'c'\npolicies = ['read']\n",
            f"auth.users: a policy of c: read is neither one of {', '.join(READY)} nor a policy",
        ),
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


def test_the_key_that_encrypts_for_minio_encrypts_here():
    key = base64.b64encode(bytes(range(32))).decode()
    environment = {"MINIO_KMS_SECRET_KEY": f"my-key:{key}", "MINIO_KMS_AUTO_ENCRYPTION": "on"}
    encryption = load(environment=environment).encryption
    assert (encryption.master_key.reveal(), encryption.everything) == (key, True)
    assert load(environment=environment | {"MINIO_KMS_AUTO_ENCRYPTION": "off"}).encryption.everything is False
    with pytest.raises(
        ConfigError, match=r"^MINIO_KMS_AUTO_ENCRYPTION: encryption\.everything needs encryption\.master_key"
    ):
        load(environment={"MINIO_KMS_AUTO_ENCRYPTION": "on"})
    for wrong in (key, ":" + key, "my-key:" + key[4:], "my-key:"):
        with pytest.raises(ConfigError) as refused:
            load(environment={"MINIO_KMS_SECRET_KEY": wrong})
        assert key[4:] not in str(refused.value)


def test_the_region_of_a_client_in_the_shell_does_not_move_the_server():
    assert (
        load(environment={"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-north-1"}).server.region == "us-east-1"
    )


def test_the_two_keys_are_never_mixed_from_two_programs():
    minio = {"MINIO_ROOT_USER": "a", "MINIO_ROOT_PASSWORD": "b"}
    assert load(environment=minio | {"S3ISH_ACCESS_KEY": "c", "S3ISH_SECRET_KEY": "d"}).root_keys == ("c", "d")
    with pytest.raises(ConfigError, match=r"^set both S3ISH_ACCESS_KEY and S3ISH_SECRET_KEY, or neither$"):
        load(environment=minio | {"S3ISH_ACCESS_KEY": "c"})
    for name in minio:
        with pytest.raises(ConfigError, match=r"^set both MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, or neither$"):
            load(environment={name: "a"})


AWS = {"AWS_ACCESS_KEY_ID": "theirs", "AWS_SECRET_ACCESS_KEY": "hush"}


def test_keys_of_clients_are_root_keys_only_when_that_is_asked_for(toml):
    asked = {"S3ISH_AUTH_FROM_AWS_ENVIRONMENT": "true"}
    assert load(environment=AWS).is_development
    assert load(environment=AWS | asked).root_keys == ("theirs", "hush")
    assert load(environment=AWS, file=toml("[auth]\nfrom_aws_environment = true\n")).root_keys == ("theirs", "hush")
    assert load(environment=AWS | asked | {"MINIO_ROOT_USER": "a", "MINIO_ROOT_PASSWORD": "b"}).root_keys == ("a", "b")
    for name in AWS:
        with pytest.raises(ConfigError, match="set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            load(environment={name: "x"} | asked)


def test_it_is_told_which_names_were_looked_at_for_keys_and_no_value(toml):
    ours = "S3ISH_ACCESS_KEY, S3ISH_AUTH_ACCESS_KEY, MINIO_ROOT_USER, MINIO_ACCESS_KEY"

    def told(environment, file=None):
        return key_source(load(environment=environment, file=file), environment)

    assert told({}) == f"none in {ours}"
    assert told(AWS) == f"none in {ours}; AWS_ACCESS_KEY_ID is for clients unless auth.from_aws_environment"
    asked = AWS | {"S3ISH_AUTH_FROM_AWS_ENVIRONMENT": "1"}
    assert told(asked) == f"from AWS_ACCESS_KEY_ID, of {ours}, AWS_ACCESS_KEY_ID"
    assert told({"MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b"}) == f"from MINIO_ACCESS_KEY, of {ours}"
    assert (
        told({"S3ISH_ACCESS_KEY_FILE": toml("a"), "S3ISH_SECRET_KEY": "b"}) == f"from S3ISH_ACCESS_KEY_FILE, of {ours}"
    )
    file = toml("[auth]\naccess_key = 'theirs'\nsecret_key = 'hush'\n")
    assert told({}, file) == f"from the configuration file; none in {ours}"


def test_a_line_for_the_shell_names_the_variable_and_not_the_secret(tmp_path):
    def shown(environment):
        return shell_secret(load(environment=environment), environment)

    assert shown({}) == DEVELOPMENT_KEY
    assert shown({"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY": "hush"}) == '"${S3ISH_SECRET_KEY:?}"'
    assert shown({"MINIO_ROOT_USER": "a", "MINIO_ROOT_PASSWORD": "hush"}) == '"${MINIO_ROOT_PASSWORD:?}"'
    assert shown(AWS | {"S3ISH_AUTH_FROM_AWS_ENVIRONMENT": "1"}) == '"${AWS_SECRET_ACCESS_KEY:?}"'
    (tmp_path / "a file").write_text("hush")
    path = str(tmp_path / "a file")
    assert shown({"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY_FILE": path}) == f"\"$(cat '{path}')\""


def test_what_kubernetes_says_of_services_is_no_setting():
    port = {
        "S3ISH_PORT": "tcp://10.0.0.7:9000",
        "S3ISH_SERVICE_HOST": "10.0.0.7",
        "S3ISH_SERVICE_PORT": "9000",
        "S3ISH_SERVICE_PORT_HTTP_API": "9000",
        "S3ISH_PORT_9000_TCP": "tcp://10.0.0.7:9000",
        "S3ISH_PORT_9000_TCP_PROTO": "tcp",
        "S3ISH_PORT_9000_TCP_PORT": "9000",
        "S3ISH_PORT_9000_TCP_ADDR": "10.0.0.7",
    }
    other = {name.replace("S3ISH", "S3ISH_SERVER"): text.replace("tcp", "udp") for name, text in port.items()}
    assert load(environment=port | other) == Settings()
    assert load(environment=port | other | {"S3ISH_SERVER_PORT": "9001"}).server.port == 9001
    with pytest.raises(
        ConfigError, match=r"S3ISH_PORT: server.port: expected a whole number from 0 to 65535, not 10.0.0"
    ):
        load(environment={"S3ISH_PORT": "10.0.0.7:9000"})
    for name in ("S3ISH_PORT_HTTP", "S3ISH_SERVICE", "S3ISH_SERVICES_HOST"):
        with pytest.raises(ConfigError, match=f"unknown variable {name};"):
            load(environment={name: "1"})


def test_the_place_of_a_wrong_value_is_named(toml):
    with pytest.raises(ConfigError, match=r"^S3ISH_SERVER_PORT: server.port: expected .*, not high$"):
        load(environment={"S3ISH_SERVER_PORT": "high"})
    with pytest.raises(ConfigError, match=r"^the command line: server.port: expected .*, not -1$"):
        load({"server.port": -1}, {"S3ISH_PORT": "1"})
    with pytest.raises(ConfigError, match=r"^MINIO_DEFAULT_BUCKETS: storage.default_buckets: A is not"):
        load(environment={"MINIO_DEFAULT_BUCKETS": "fine,A"})


def test_texts_that_are_not_utf_8_are_refused_in_one_line(tmp_path):
    path = tmp_path / "odd.toml"
    for text in (b"[server]\nregion = '\xff'\n", b"\xff\xfe[\0", b"x = " + b"[" * 9999, b"x = 1" + b"0" * 9999):
        path.write_bytes(text)
        with pytest.raises(ConfigError, match=r"odd\.toml is not valid TOML: ") as refused:
            load(environment={}, file=str(path))
        assert "\n" not in str(refused.value)
    keys = {"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY_FILE": str(path)}
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"S3ISH_SECRET_KEY_FILE: .* is not a file of UTF-8 text"):
        load(environment=keys)
    with pytest.raises(ConfigError, match="S3ISH_SECRET_KEY is not UTF-8"):
        load(environment={"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY": "hush\udcff"})


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("S3ISH_MASTER_KEY_FILE", "short", r"^S3ISH_MASTER_KEY_FILE: encryption.master_key is not 32 bytes"),
        ("S3ISH_ENCRYPTION_MASTER_KEY_FILE", "short", r"^S3ISH_ENCRYPTION_MASTER_KEY_FILE: encryption.master_key is"),
        ("S3ISH_PORT_FILE", "many", r"^S3ISH_PORT_FILE: server.port: expected a whole number"),
    ],
)
def test_a_wrong_value_in_a_file_is_told_by_the_variable_that_names_the_file(tmp_path, name, text, says):
    path = tmp_path / "value"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(environment={name: str(path)})


def test_a_wrong_secret_of_a_folder_is_told_by_its_file(tmp_path):
    path = tmp_path / "s3ish_master_key"
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    path.write_text("short")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: encryption.master_key is not 32 bytes"):
        load(environment=given)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: .* is not a file of UTF-8 text"):
        load(environment=given)


def test_the_variable_of_a_file_is_told_as_the_one_that_gives_a_setting(tmp_path):
    (tmp_path / "region").write_text("eu-west-1")
    given = {"MINIO_REGION_FILE": str(tmp_path / "region")}
    assert variables_used(given) == ({"server.region": "MINIO_REGION_FILE"}, [])


def test_a_coder_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"^S3ISH_ERASURE_CODER: erasure.coder: zfec is not installed: pip install 's3i"
    ):
        load(environment={"S3ISH_ERASURE_CODER": "zfec"})
    assert load(environment={"S3ISH_ERASURE_CODER": "rs-zfec"}).erasure.code == "rs-zfec"


def test_one_half_of_a_pair_of_keys_is_refused():
    for name in ("S3ISH_ACCESS_KEY", "S3ISH_SECRET_KEY"):
        with pytest.raises(ConfigError, match="set both"):
            load(environment={name: "x"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.com", "127.evil.example", "localhost.evil"])
def test_well_known_keys_never_listen_to_others(host):  # case 136
    with pytest.raises(ConfigError, match=f"refusing to listen on {host} .* MINIO_ROOT_USER, .*S3ISH_SECRET_KEY"):
        load({"server.host": host}, {})
    assert load({"server.host": host}, {"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY": "b" * 8}).server.host == host


@pytest.mark.parametrize("secret", ["b", "1234567", "äöüß"])
@pytest.mark.parametrize("whose", ["the root user", "the user u"])
def test_secret_keys_that_can_be_tried_out_never_listen_to_others(toml, secret, whose):  # case 136
    others = secret if whose == "the user u" else "long and random"
    file = toml(f"[[auth.users]]\nid = 'u'\naccess_key = 'u'\nsecret_key = '{others}'\n")
    keys = {"S3ISH_ACCESS_KEY": "a", "S3ISH_SECRET_KEY": secret if whose == "the root user" else "long and random"}
    reason = (
        f"^refusing to listen on :: with a secret key of {whose} that has fewer than 8 characters: set S3ISH_ACCESS_KEY"
    )
    with pytest.raises(ConfigError, match=reason) as refused:
        load({"server.host": "::"}, keys, file)
    assert secret not in str(refused.value).split()
    assert load({"server.host": "::1"}, keys, file).root_keys == ("a", keys["S3ISH_SECRET_KEY"])
    assert load({"server.host": "::"}, keys | {"S3ISH_ALLOW_WELL_KNOWN_KEYS": "true"}, file).server.host == "::"


PAIRS = [
    ("s3ishadmin", "s3ishadmin"),
    ("minioadmin", "minioadmin"),
    ("minio", "minio123"),
    ("test", "test"),
    ("testing", "testing"),
    ("root", "MinioAdmin"),
    ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("as-long-as-random", "as-long-as-random"),
]


@pytest.mark.parametrize(("access_key", "secret"), PAIRS)
@pytest.mark.parametrize("source", ["variables", "MinIO's variables", "AWS's variables", "files", "config", "a user"])
def test_well_known_keys_are_refused_wherever_they_come_from(toml, tmp_path, access_key, secret, source):  # case 167
    (tmp_path / "secret").write_text(secret + "\n")
    own = {"S3ISH_ACCESS_KEY": "root-key", "S3ISH_SECRET_KEY": "long and random"}
    asked = {"S3ISH_AUTH_FROM_AWS_ENVIRONMENT": "on"}
    keys = f"access_key = '{access_key}'\nsecret_key = '{secret}'\n"
    environment, text = {
        "variables": ({"S3ISH_ACCESS_KEY": access_key, "S3ISH_SECRET_KEY": secret}, ""),
        "MinIO's variables": ({"MINIO_ROOT_USER": access_key, "MINIO_ROOT_PASSWORD": secret}, ""),
        "AWS's variables": ({"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret} | asked, ""),
        "files": ({"S3ISH_ACCESS_KEY": access_key, "S3ISH_SECRET_KEY_FILE": str(tmp_path / "secret")}, ""),
        "config": ({}, "[auth]\n" + keys),
        "a user": (own, "[[auth.users]]\nid = 'u'\n" + keys),
    }[source]
    file = toml(text)
    whose = "the user u" if source == "a user" else "the root user"
    with pytest.raises(ConfigError, match=f"refusing to listen on 0.0.0.0 with well-known keys of {whose}") as refused:
        load({"server.host": "0.0.0.0"}, environment, file)
    assert "\n" not in str(refused.value)
    assert load({}, environment, file).server.host == "127.0.0.1"


def test_every_well_known_secret_can_be_met():
    assert {secret.lower() for secret in WELL_KNOWN_SECRETS} == WELL_KNOWN_SECRETS


def test_a_container_without_keys_says_what_to_do_in_a_container():
    for mark in ({"container": "oci"}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}):
        with pytest.raises(ConfigError, match="docker run -e S3ISH_ACCESS_KEY=… -e S3ISH_SECRET_KEY=…"):
            load(environment={"S3ISH_HOST": "0.0.0.0"} | mark)


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


def test_secrets_in_tables_can_stand_in_files(toml, tmp_path):
    (tmp_path / "secret").write_text("hush hush\n")
    names = "".join(f"{name}_file = '{tmp_path / 'secret'}'\n" for name in ("secret", "token", "password"))
    file = toml(
        f"[[notifications.targets]]\narn = '{ARN}'\n{WEBHOOK}{names}"
        f"[[auth.users]]\naccess_key = 'a'\nid = 'b'\nsecret_key_file = '{tmp_path / 'secret'}'\n"
        f"[metrics]\ntoken_file = '{tmp_path / 'secret'}'\n"
    )
    settings = load(environment={}, file=file)
    (target,) = settings.notifications.targets
    found = (target.secret, target.token, target.password, settings.auth.users[0].secret_key, settings.metrics.token)
    assert [secret.reveal() for secret in found] == ["hush hush"] * 5


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("token_file = '/nowhere/token'", "targets.0.token_file: cannot read /nowhere/token: No such file"),
        ("token_file = '/dev'", "targets.0.token_file: cannot read /dev: Is a directory"),
        ("token_file = 'a\\u0000b'", "targets.0.token_file: a\\x00b is not a file of UTF-8 text"),
        ("token_file = 1.5", "targets.0.token_file: 1.5 is not a file of UTF-8 text"),
        ("token_file = '/dev/null'\ntoken = 'a'", "targets.0.token_file: token is given as well"),
        ("topic_file = '/dev/null'", "unknown setting notifications.targets.0.topic_file"),
        ("_file = '/dev/null'", "unknown setting notifications.targets.0._file"),
        ("ca_file = '/nowhere/ca.pem'", "ca_file is not a file"),
    ],
)
def test_a_secret_in_a_file_that_cannot_be_had_is_named(toml, line, says):
    text = f"[[notifications.targets]]\narn = '{ARN}'\n{WEBHOOK}{line}\n".replace("'a\\u0000b'", '"a\\u0000b"')
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(environment={}, file=toml(text))


PEER = {
    "arn": "arn:s3ish:replication:::there",
    "endpoint": "https://there.example.com",
    "bucket": "there",
    "access_key": "a",
    "secret_key": "b",
}


def peer(**changed):
    fields = {name: text for name, text in (PEER | changed).items() if text is not None}
    return "\n".join(["[[replication.targets]]", *(f"{name} = {text!r}" for name, text in fields.items()), ""])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (peer(arn="there"), "replication.targets: there: arn is not of the form"),
        (
            peer(arn="arn:aws:s3:::there"),
            "there: arn is not of the form arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME, of another service than s3",
        ),
        (peer(endpoint="there"), "endpoint is not of the form http"),
        (peer(endpoint="ftp://there"), "endpoint is not of the form http"),
        (peer(endpoint="https://u:p@there"), "endpoint is not of the form http"),
        (peer(endpoint="https://there?a=b"), "endpoint is not of the form http"),
        (peer(bucket="There/x"), "bucket is not the name of a bucket"),
        (peer(access_key="ü"), "access_key has characters"),
        (peer(secret_key=""), "secret_key is empty"),
        (peer(secret_key=None), "replication.targets.0.secret_key is missing"),
        (peer(kind="minio"), "kind: expected one of s3ish, s3"),
        (peer(style="any"), "style: expected one of path, virtual"),
        (peer(ca_file="/none"), "ca_file is not a file"),
        (peer() * 2, "two targets have the same arn"),
    ],
)
def test_a_wrong_target_of_replication_is_refused(toml, text, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(environment={}, file=toml(text))


def test_the_secret_key_of_a_target_of_replication_may_be_in_a_file(toml, tmp_path):
    (tmp_path / "secret").write_text("from a file\n")
    text = peer(secret_key=None, secret_key_file=str(tmp_path / "secret"))
    (target,) = load(environment={}, file=toml(text)).replication.targets
    assert (target.secret_key.reveal(), target.kind, target.style) == ("from a file", "s3ish", "path")
