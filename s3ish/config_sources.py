"""Where settings come from: flags, environment, a TOML file and defaults, in that order of precedence.

A key that is not known is an error that names it. Every error is one line that names where the value was given, the
setting and, unless it may be a secret, the value.
"""

import base64
import importlib.util
import ipaddress
import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, structs

from s3ish import dropin
from s3ish.config import (
    DEVELOPMENT_KEY,
    MASTER_KEY_BYTES,
    TABLE_LISTS,
    ConfigError,
    Names,
    Secret,
    Section,
    Settings,
    fields,
    members,
    variables,
)
from s3ish.config_targets import wrong_replica_target, wrong_target
from s3ish.config_texts import BASE_PATH, TEXTS, is_address

WELL_KNOWN_SECRETS = frozenset(
    {
        "changeme",
        "localstack",
        "minio123",
        "minioadmin",
        "minio-secret",
        "miniosecret",
        "mock",
        "password",
        "rustfsadmin",
        DEVELOPMENT_KEY,
        "secret",
        "secretkey",
        "test",
        "testing",
        "verysecretkey1",
        "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",
    }
)
"""Secret keys that programs have as defaults or that documents show, in lower case. The access key does not matter."""

LEAST_SECRET = 8
"""How many characters a secret key has beyond loopback, as keys have that are made at run time."""

_PAIR = ("auth.access_key", "auth.secret_key")
_AWS_PAIR = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""What clients in the same shell sign with; it gives the root user's keys only where ``auth.from_aws_environment``."""

_SECRETS = (
    "auth.access_key",
    "auth.secret_key",
    "encryption.master_key",
    "encryption.previous_master_key",
    "metrics.token",
    "test.token",
)
"""Settings that files in a folder of secrets may give."""

SECRETS_FOLDER = "/run/secrets"
"""Where containers find their secrets; services of systemd find theirs in ``$CREDENTIALS_DIRECTORY``.

https://docs.docker.com/compose/how-tos/use-secrets/
https://systemd.io/CREDENTIALS/
"""

_BOOLEANS = {"yes": True, "on": True, "y": True, "t": True, "no": False, "off": False, "n": False, "f": False}
"""Texts for true and false beside true, false, 1 and 0."""

_SECRET_NAMES = frozenset(name for dotted in _SECRETS for name in variables(dotted))

_META = ("S3ISH_CONFIG", "S3ISH_ENDPOINT")
"""Variables that are not settings."""

_SERVICE = re.compile(r"S3ISH(_\w+)?_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")

_SHOWN_CHARACTERS = 100


def load(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None, file: str | None = None
) -> Settings:
    """Return the settings.

    Args:
        flags: values by dotted name; None means not given.
        environment: the variables; the process's own if None.
        file: the TOML file; that of S3ISH_CONFIG if None, and none if that is not set.

    Raises:
        ConfigError: a key is unknown, a value is wrong, or a server would be open to others with well-known keys.
    """
    environment = os.environ if environment is None else environment
    file = file or environment.get("S3ISH_CONFIG")
    values, sources = _from_file(file), dict[str, str]()
    for dotted, (name, text) in _from_environment(environment).items():
        _put(values, dotted, _formed(name, dotted, text))
        sources[dotted] = _origin(environment, name)
    for dotted, value in (flags or {}).items():
        if value is not None:
            _put(values, dotted, value)
            sources[dotted] = "the command line"
    problems: list[_Problem] = []
    settings: Settings = _read(Settings, values, "", problems)
    if not problems:
        settings = _with_aws_keys(settings, environment)
        problems += check(settings, environment)
    if problems:
        raise ConfigError("; ".join(_with_source(dotted, text, sources, file) for dotted, text in problems))
    return settings


def named(file: str | None) -> Collection[str]:
    """Return the dotted names of the settings that variables or the file give, as ``load``. Raises ConfigError."""
    tables = _from_file(file or os.environ.get("S3ISH_CONFIG")).items()
    in_file = {f"{section}.{name}" for section, it in tables if isinstance(it, dict) for name in it}
    return in_file | set(_from_environment(os.environ))


_Problem = tuple[str, str]
"""The dotted name of a setting, and what is wrong with it."""


def _with_source(dotted: str, text: str, sources: Mapping[str, str], file: str | None) -> str:
    """Return a problem with the place where the value was given."""
    source = dotted and (sources.get(".".join(dotted.split(".")[:2])) or file)
    return f"{_shown(source)}: {text}" if source else text


def check(settings: Settings, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with settings that can be read: the setting, empty if it is several, and a text."""
    auth = settings.auth
    if bool(auth.access_key) != bool(auth.secret_key.reveal()):
        names = [variables(dotted)[_family(environment)[0]] for dotted in _PAIR]
        yield "", f"set both {' and '.join(names)}, or neither"
    elif guessed := _guessed(settings):
        yield "", _refusal(settings, environment, guessed)
    keys = [settings.root_keys[0], *(user.access_key for user in auth.users)]
    if len(set(keys)) != len(keys):
        yield "auth.users", "auth.users: two users have the same access key"
    if not all(user.secret_key for user in auth.users):
        yield "auth.users", "auth.users: a secret key is empty"
    yield from _policies(settings)
    yield from _master_keys(settings)
    yield from _targets(settings)
    yield from _providers(settings)
    for dotted, fits, words in TEXTS:
        section, name = dotted.split(".")
        given = getattr(getattr(settings, section), name)
        for text in filter(None, [given]) if isinstance(given, str) else given:
            if not fits(text):
                yield dotted, f"{dotted}: {_shown(text)} is not {words}"
    if settings.test.controls and settings.server.workers > 1:
        yield "test.controls", "test.controls: they are those of one process; leave server.workers out, or set it to 1"
    yield from _addresses(settings)
    if len(settings.tls.keys) not in (0, len(settings.tls.certificates)):
        yield "tls.keys", "tls.keys: give one for each of tls.certificates, in the same order, or none"
    yield from _traces(settings)
    if settings.erasure.coder == "zfec" and not importlib.util.find_spec("zfec"):
        yield "erasure.coder", "erasure.coder: zfec is not installed: pip install 's3ish[zfec]', or choose rs-zfec"
    shards, volumes = settings.erasure.data + settings.erasure.parity, len(settings.storage.volumes)
    if 1 < volumes < shards:
        split = f"{settings.erasure.data} + {settings.erasure.parity} shards"
        remedy = f"give 1 or at least {shards} volumes, or set erasure.data and erasure.parity"
        yield "", f"{volumes} volumes cannot hold {split} on different drives: {remedy}"


def _traces(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with where traces go."""
    traces = settings.traces
    if traces.endpoint and not is_address(traces.endpoint):
        yield "traces.endpoint", "traces.endpoint is not of the form http[s]://HOST[:PORT][/PATH]"
    if traces.export and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        yield "traces.export", "traces.export: a library is not installed: pip install 's3ish[otel]'"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package around it is missing
        return False


def _addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the addresses under which clients know the server."""
    server = settings.server
    if not BASE_PATH.fullmatch(server.base_path):
        yield "server.base_path", f"server.base_path: {_shown(server.base_path)} is not a path such as /s3"
    for host in server.public_hosts:
        for domain in (*server.domains, *server.website_domains):
            if host.partition(":")[0].endswith(f".{domain}"):
                yield "server.public_hosts", f"server.public_hosts: {_shown(host)} names a bucket of {domain}"


def _master_keys(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the keys that encrypt."""
    encryption = settings.encryption
    for name in ("master_key", "previous_master_key"):
        text = getattr(encryption, name).reveal()
        try:
            length = len(base64.b64decode(text.strip(), validate=True))
        except ValueError:
            length = -1
        if text and length != MASTER_KEY_BYTES:
            dotted = f"encryption.{name}"
            yield dotted, f"{dotted} is not {MASTER_KEY_BYTES} bytes in base64; make one with: openssl rand -base64 32"
    for name in ("everything", "previous_master_key", "keys"):
        if getattr(encryption, name) and not encryption.master_key:
            yield f"encryption.{name}", f"encryption.{name} needs encryption.master_key: openssl rand -base64 32"
    for part in ("alias", "id"):
        given = [text for key in encryption.keys if (text := getattr(key, part))]
        if len(set(given)) != len(given):
            yield "encryption.keys", f"encryption.keys: two keys have the same {part}"


def _providers(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the identity providers."""
    from s3ish.auth.web_identity import ALGORITHMS  # deferred: most servers have none

    if len({it.issuer for it in settings.auth.oidc}) != len(settings.auth.oidc):
        yield "auth.oidc", "auth.oidc: two tables have the same issuer"
    for it in settings.auth.oidc:
        for url in filter(None, (it.issuer, it.jwks_url)):
            where = urlsplit(url)
            is_near = where.hostname in ("localhost", "127.0.0.1", "::1")
            if where.scheme not in (("http", "https") if is_near else ("https",)) or not where.hostname:
                yield "auth.oidc", f"auth.oidc: {_shown(url)} is no address of the form https://HOST[/PATH]"
        if wrong := sorted(set(it.algorithms) - set(ALGORITHMS)):
            listed = ", ".join(ALGORITHMS)
            yield "auth.oidc", f"auth.oidc: {_shown(wrong[0])} is none of the algorithms {listed}"


def _targets(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the targets of notifications and of replication."""
    targets = settings.notifications.targets
    if len({target.arn for target in targets}) != len(targets):
        yield "notifications.targets", "notifications.targets: two targets have the same arn"
    for target in targets:
        if problem := wrong_target(target):
            yield "notifications.targets", f"notifications.targets: {_shown(target.arn)}: {problem}"
    peers = settings.replication.targets
    if len({peer.arn for peer in peers}) != len(peers):
        yield "replication.targets", "replication.targets: two targets have the same arn"
    for peer in peers:
        if problem := wrong_replica_target(peer):
            yield "replication.targets", f"replication.targets: {_shown(peer.arn)}: {problem}"


def _policies(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield which policies of users are none."""
    if not any(user.policies for user in settings.auth.users):
        return
    from s3ish.auth.ready_policies import READY, policy_of  # deferred: most servers have no such users
    from s3ish.errors import MalformedPolicy

    for user in settings.auth.users:
        for text in user.policies:
            try:
                policy_of(text)
            except MalformedPolicy as error:
                names = ", ".join(READY)
                reason = f"{_shown(text)} is neither one of {names} nor a policy: {error.message}"
                yield "auth.users", f"auth.users: a policy of {_shown(user.id)}: {reason}"


# --- keys that others know or guess


def _guessed(settings: Settings) -> str:
    """Return which keys others know or guess, on an address that they reach; empty if there are none."""
    if settings.auth.allow_well_known_keys or _is_loopback(settings.server.host):
        return ""
    pairs = {"the root user": settings.root_keys}
    pairs |= {f"the user {user.id}": (user.access_key, user.secret_key.reveal()) for user in settings.auth.users}
    for whose, (access_key, secret) in pairs.items():
        if _is_well_known(access_key, secret):
            return f"well-known keys of {_shown(whose)}"
        if len(secret) < LEAST_SECRET:
            return f"a secret key of {_shown(whose)} that has fewer than {LEAST_SECRET} characters"
    return ""


def _is_well_known(access_key: str, secret: str) -> bool:
    """Whether others know a secret key: by documents, or because it is the access key, which every request shows."""
    return secret.lower() in WELL_KNOWN_SECRETS or secret == access_key


def _refusal(settings: Settings, environment: Mapping[str, str], guessed: str) -> str:
    """Return why a server does not listen to others, and what to do; see ``_guessed``."""
    reason = f"refusing to listen on {_shown(settings.server.host)} with {guessed}"
    if settings.is_development:
        reason += f" ({key_source(settings, environment)})"
    among = "in a stack for tests that no other machine reaches, set S3ISH_ALLOW_WELL_KNOWN_KEYS=true"
    if "container" in environment or "KUBERNETES_SERVICE_HOST" in environment:
        return (
            f"{reason}: give the container keys of your own: docker run -e S3ISH_ACCESS_KEY=… -e S3ISH_SECRET_KEY=…, "
            f"environment: in a compose file, or env: in a pod; {among}"
        )
    remedy = "set S3ISH_ACCESS_KEY and S3ISH_SECRET_KEY to keys of your own, or listen on 127.0.0.1"
    return f"{reason}: {remedy}; {among}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- the environment and the file


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    import tomllib  # deferred: most servers are started without a file

    try:
        with Path(path).open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"cannot read {_shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{_shown(path)} is not valid TOML: byte {error.start} is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{_shown(path)} is not valid TOML: {error}") from error


def _formed(name: str, dotted: str, text: str) -> Any:
    """Return the value that a variable gives. Raises ConfigError: it is not of the form that the variable has."""
    try:
        return dropin.formed(name, dotted, text)
    except ValueError as error:
        raise ConfigError(f"{name}: {_shown(str(error))}") from error


def variables_used(environment: Mapping[str, str] | None = None) -> tuple[dict[str, str], list[str]]:
    """Return which variable gives each setting that one gives, and which of other servers' variables give none.

    Raises:
        ConfigError: a variable cannot be read.
    """
    environment = os.environ if environment is None else environment
    names = {dotted: name for dotted, (name, _) in _from_environment(environment).items()}
    taken = {*names.values(), *(f"{name}_FILE" for name in names.values())}
    used = {dotted: _origin(environment, name) for dotted, name in names.items()}
    return used, [name for name in dropin.foreign(environment) if name not in taken]


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the settings that variables give, and which do. Raises ConfigError for an unknown variable of ours."""
    found: dict[str, tuple[str, str]] = {}
    known = set(_META)
    own = {name: text for name, text in environment.items() if not _is_of_a_service(name, text)}
    for dotted in fields():
        if dotted in TABLE_LISTS:
            continue
        names = variables(dotted)
        known.update(names)
        known.update(f"{name}_FILE" for name in names)
        if dotted in _PAIR:
            names = names[slice(*_family(own))]
        for name in names:
            value = _value_of(own, name)
            if value is not None:
                found[dotted] = name, value
                break
    unknown = sorted(name for name in own if name.startswith("S3ISH_") and name not in known)
    if unknown:
        raise ConfigError(f"unknown variable {_shown(unknown[0])}; see config.toml for all settings")
    return found


def _is_of_a_service(name: str, text: str) -> bool:
    """Whether a variable is one that Kubernetes gives to pods beside a Service whose name begins with ``s3ish``.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    if name.startswith("S3ISH") and name.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(text):
        return True
    return _SERVICE.fullmatch(name) is not None


def _with_aws_keys(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Return settings with the keys of AWS's clients, where that is asked for. Raises ConfigError if there are none."""
    if not settings.auth.from_aws_environment or _family(environment) != (0, 0):
        return settings
    access_key, secret = (_value_of(environment, name) for name in _AWS_PAIR)
    if not access_key or not secret:
        raise ConfigError(f"auth.from_aws_environment: set both {' and '.join(_AWS_PAIR)}")
    return structs.replace(
        settings, auth=structs.replace(settings.auth, access_key=access_key, secret_key=Secret(secret))
    )


def key_source(settings: Settings, environment: Mapping[str, str] | None = None) -> str:
    """Return in words where the root user's keys come from, and which variables were looked at; it names no value."""
    environment = os.environ if environment is None else environment
    asked = settings.auth.from_aws_environment
    names = variables(_PAIR[0]) + (_AWS_PAIR[:1] if asked else ())
    given = [name for name in names if _origin(environment, name)]
    listed = ", ".join(names)
    if given:
        reason = f"from {_origin(environment, given[0])}, of {listed}"
    elif settings.is_development:
        reason = f"none in {listed}"
    else:
        reason = f"from the configuration file; none in {listed}"
    aside = not asked and _AWS_PAIR[0] in environment
    return reason + (f"; {_AWS_PAIR[0]} is for clients unless auth.from_aws_environment" if aside else "")


def shell_secret(settings: Settings, environment: Mapping[str, str] | None = None) -> str:
    """Return what stands for the root user's secret key in a line for a shell; the key itself only if it is known.

    A shell that lacks the variable says so, by its name.
    """
    environment = os.environ if environment is None else environment
    if settings.is_development:
        return settings.root_keys[1]
    names = variables(_PAIR[1]) + (_AWS_PAIR[1:] if settings.auth.from_aws_environment else ())
    for name in names:
        if name not in environment and (path := _file_of(environment, name)) is not None:
            return f'"$(cat {shlex.quote(path)})"'
        if name in environment:
            return f'"${{{name}:?}}"'
    return f'"${{{names[0]}:?}}"'


def _family(environment: Mapping[str, str]) -> tuple[int, int]:
    """Return which of their variables the two keys are taken from: both of one program, never a mixture."""
    pairs = list(zip(*(variables(dotted) for dotted in _PAIR), strict=True))
    for index, pair in enumerate(pairs):
        if any(_origin(environment, name) for name in pair):
            return index, index + 1
    return 0, 0


def _file_of(environment: Mapping[str, str], name: str) -> str | None:
    """Return the file that gives a variable: the one of ``<name>_FILE``, or one of its name in a folder of secrets.

    ``<name>_FILE`` may be the name of a secret alone.
    """
    folders = [folder for folder in (environment.get("CREDENTIALS_DIRECTORY"), SECRETS_FOLDER) if folder]
    path = environment.get(f"{name}_FILE")
    if path is not None:
        places = [path, *(os.path.join(folder, path) for folder in folders)]
        return next(filter(os.path.isfile, places), path) if "\0" not in path else path
    if name not in _SECRET_NAMES:
        return None
    places = [os.path.join(folder, each) for folder in folders for each in (name, name.lower())]
    return next(filter(os.path.isfile, places), None)


def _origin(environment: Mapping[str, str], name: str) -> str:
    """Return where a variable is given: by itself, by ``<name>_FILE``, by a file among secrets; empty if nowhere."""
    return next((it for it in (name, f"{name}_FILE") if it in environment), "") or _file_of(environment, name) or ""


def _value_of(environment: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or the content of the file that ``<name>_FILE`` names. Raises ConfigError."""
    text = environment.get(name)
    if text is None and (path := _file_of(environment, name)) is not None:
        try:
            text = Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigError(f"cannot read {_shown(path)} ({_origin(environment, name)}): {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"{_origin(environment, name)}: {_shown(path)} is not a file of UTF-8 text") from error
    if text is not None and any("\ud800" <= character <= "\udfff" for character in text):  # bytes that are not UTF-8
        raise ConfigError(f"{name} is not UTF-8")
    return text


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    section, name = dotted.split(".")
    table = values.setdefault(section, {})
    if isinstance(table, dict):
        table[name] = value


# --- from values to settings


def _read(section: type[Section], values: Any, where: str, problems: list[_Problem]) -> Any:
    """Return a table as its section; what is wrong with it is added to the problems."""
    if not isinstance(values, dict):
        problems.append((where, f"{where}: expected a table"))
        return None
    known, given = members(section), {}
    for name, value in _with_secrets(values, known, where, problems).items():
        dotted = f"{where}.{name}" if where else name
        if name in known:
            given[name] = _read_value(known[name].type, value, dotted, problems)
        else:
            problems.append((dotted, f"unknown setting {_shown(dotted)}; see config.toml for all settings"))
    missing = [name for name, member in known.items() if member.required and name not in given]
    problems += [(where, f"{where}.{name} is missing") for name in missing]
    return None if missing else section(**given)


def _with_secrets(
    values: Mapping[str, Any], known: Mapping[str, structs.FieldInfo], where: str, problems: list[_Problem]
) -> dict[str, Any]:
    """Return a table with the secrets that files hold: ``token_file`` names the file of ``token``."""
    found = dict(values)
    for name, path in values.items():
        secret = name.removesuffix("_file")
        if name in known or secret == name or secret not in known or not _is_secret(known[secret].type):
            continue
        dotted = f"{where}.{name}"
        del found[name]
        try:
            if secret in values:
                problems.append((dotted, f"{dotted}: {secret} is given as well"))
            found[secret] = Path(path).read_text("utf-8").strip()
        except OSError as error:
            problems.append((dotted, f"{dotted}: cannot read {_shown(path)}: {error.strerror}"))
        except (ValueError, TypeError):
            problems.append((dotted, f"{dotted}: {_shown(path)} is not a file of UTF-8 text"))
    return found


def _is_secret(kind: Any) -> bool:
    return (get_args(kind)[0] if get_origin(kind) is Annotated else kind) is Secret


def _read_value(kind: Any, value: Any, dotted: str, problems: list[_Problem]) -> Any:
    bare, limits = (get_args(kind)[0], get_args(kind)[1:]) if get_origin(kind) is Annotated else (kind, ())
    inner = get_args(bare)[0] if get_origin(bare) is tuple else bare
    if isinstance(inner, type) and issubclass(inner, Section):
        if inner is bare:
            return _read(inner, value, dotted, problems)
        if isinstance(value, list):
            return tuple(_read(inner, item, f"{dotted}.{number}", problems) for number, item in enumerate(value))
    elif isinstance(value, str):
        value = _read_text(bare, value)
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_read_secret)
    except msgspec.ValidationError:
        is_secret = dotted.startswith("auth.") or bare is Secret or not isinstance(value, str | int | float)
        problem = f"{dotted}: expected {_expected(bare, limits)}"
        problems.append((dotted, problem if is_secret else f"{problem}, not {_shown(value)}"))
        return None


def _read_text(bare: Any, text: str) -> Any:
    """Prepare a text, as a variable has, for its conversion to a type."""
    if bare is Names:
        return tuple(item.strip() for item in text.split(",") if item.strip())
    if bare is bool:
        return _BOOLEANS.get(text.strip().lower(), text)
    return text.strip() if bare in (int, float) else text


def _read_secret(_kind: type, value: Any) -> Secret:
    if not isinstance(value, str):
        raise TypeError
    return Secret(value)


def _shown(value: object) -> str:
    """Return a value for a message: short, and in one line for any content."""
    text = value if isinstance(value, str) and value else repr(value)
    escaped = "".join(it if it.isprintable() else it.encode("unicode_escape").decode() for it in text)
    return escaped if len(escaped) <= _SHOWN_CHARACTERS else escaped[:_SHOWN_CHARACTERS] + "…"


def _expected(bare: Any, limits: tuple[Any, ...]) -> str:
    """Return what a value should have been, in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", Names: "names"}.get(bare, "a text")
    if get_origin(bare) is Literal:
        words = f"one of {', '.join(get_args(bare))}"
    elif get_origin(bare) is tuple and bare is not Names:
        words = "a list of tables"
    for limit in limits:
        if isinstance(limit, Meta):
            bounds = ((" from", limit.ge), (" above", limit.gt), (" to", limit.le))
            words += "".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
            words += ", not empty" if limit.min_length else ""
    return words
