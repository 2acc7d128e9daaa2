"""The commands for users, groups, policies and roles of a running server.

They ask its admin API, so that they work from any machine. Secrets are printed once, when a key is made.
"""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from s3ish.cli.shell import config_option, endpoint_of, fail, load_settings, printable, say_none

Command = Callable[..., None]


def asks_server(command: Command) -> Command:
    """Give a command the options that say which server is asked by whom; it gets a client and whether to show JSON."""

    @click.option(
        "--endpoint-url",
        envvar=["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        show_envvar=True,
        help="The server; host and port of the settings if it is not given.",
    )
    @click.option("--access-key", help="Who asks: the root user of the settings if it is not given.")
    @click.option("--secret-key-file", metavar="FILE", help="File with the secret key to it; - for standard input.")
    @config_option
    @click.option("--json", "as_json", is_flag=True, help="Print what the server answers, in JSON.")
    @functools.wraps(command)
    def run(
        endpoint_url: str | None,
        access_key: str | None,
        secret_key_file: str | None,
        config: str | None,
        as_json: bool,
        **arguments: Any,
    ) -> None:
        from s3ish.cli.admin_client import AdminClient, Credentials, Refused

        settings = load_settings(config)
        keys = settings.root_keys
        if bool(access_key) != bool(secret_key_file):
            raise click.UsageError("--access-key and --secret-key-file come together")
        if access_key and secret_key_file:
            keys = access_key, read_secret(secret_key_file)
        if not endpoint_url and not settings.server.port:
            raise click.UsageError("server.port is 0, any free one: give --endpoint-url")
        token = os.environ.get("AWS_SESSION_TOKEN", "") if keys[0].startswith("ASIA") else ""
        try:
            server = AdminClient(
                endpoint_url or endpoint_of(settings), Credentials(*keys, token), settings.server.region
            )
            command(server, as_json=as_json, **arguments)
        except Refused as error:
            fail(printable(str(error)))

    return run


def read_secret(path: str) -> str:
    """Return the secret in a file, without the end of its line; ``-`` is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {path}: {error}")
    return text.strip()


def read_document(path: str) -> str:
    """Return the text of a file; ``-`` is standard input."""
    return read_secret(path)


def show_answer(answer: Any, lines: Iterable[str], *, as_json: bool, if_none: str = "") -> None:
    """Print an answer: in JSON, or line by line; ``if_none`` says to people that there are no lines."""
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    shown = [printable(line) for line in lines]
    for line in shown:
        click.echo(line)
    if if_none and not shown:
        say_none(if_none)


def _key_lines(key: dict[str, Any]) -> list[str]:
    return [f"access key  {key['access_key']}", f"secret key  {key['secret_key']}  (shown once)"]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name.rpartition("/")[2] for name in names) or "-"


def _field_lines(answer: dict[str, Any], fields: Iterable[str], lists: Iterable[str]) -> list[str]:
    lines = [f"{field:9} {answer[field] or '-'}" for field in fields]
    return lines + [f"{field:9} {_listed(answer[field])}" for field in lists]


# --- users


@click.group()
def user() -> None:
    """Users of a running server."""


@user.command("add")
@click.argument("name")
@click.option("--policy", "policies", multiple=True, metavar="NAME", help="A managed policy to attach; repeatable.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group to put it into; repeatable.")
@click.option("--boundary", default="", metavar="NAME", help="A managed policy that bounds what its policies give.")
@click.option("--path", default="/", show_default=True, help="What stands before the name in ARNs.")
@click.option("--no-key", is_flag=True, help="Make no access key.")
@click.option("--new-access-key", default="", metavar="KEY", help="The access key; a random one if it is not given.")
@click.option("--new-secret-key-file", metavar="FILE", help="File with its secret key; - for standard input.")
@asks_server
def user_add(
    server: Any,
    *,
    as_json: bool,
    name: str,
    policies: tuple[str, ...],
    groups: tuple[str, ...],
    boundary: str,
    path: str,
    no_key: bool,
    new_access_key: str,
    new_secret_key_file: str | None,
) -> None:
    """Make a user with an access key."""
    secret = read_secret(new_secret_key_file) if new_secret_key_file else ""
    key = None if no_key else {"access_key": new_access_key, "secret_key": secret}
    wanted = {"name": name, "path": path, "groups": groups, "policies": policies, "boundary": boundary, "key": key}
    answer = server.call("POST", "users", body=wanted)
    show_answer(answer, _key_lines(answer["key"]) if key else [f"made {answer['arn']}"], as_json=as_json)


@user.command("ls")
@asks_server
def user_ls(server: Any, *, as_json: bool) -> None:
    """List all users."""
    found = list(server.every("users"))
    lines = (
        f"{it['name']:24}  {it['source']:13}  groups {_listed(it['groups'])}  "
        f"policies {_listed([*it['policies'], *it['inline']])}"
        for it in found
    )
    show_answer(found, lines, as_json=as_json, if_none="there are no users")


@user.command("show")
@click.argument("name")
@asks_server
def user_show(server: Any, *, as_json: bool, name: str) -> None:
    """Show a user, its keys, its policies and what bounds them."""
    answer = server.call("GET", "users", name)
    lines = _field_lines(answer, ("arn", "id", "source", "created", "boundary"), ("groups", "policies", "inline"))
    for key in answer["keys"]:
        state = "active" if key["active"] else "inactive"
        lines.append(f"key       {key['access_key']}  {state}  last used {key['last_used'] or 'never'}")
    show_answer(answer, lines, as_json=as_json)


@user.command("rm")
@click.argument("name")
@asks_server
def user_rm(server: Any, *, as_json: bool, name: str) -> None:
    """Remove a user with its keys and policies; its sessions stop."""
    show_answer(server.call("DELETE", "users", name), [], as_json=as_json)


@user.group("key")
def user_key() -> None:
    """Access keys of a user."""


@user_key.command("add")
@click.argument("name")
@click.option("--new-access-key", default="", metavar="KEY", help="The access key; a random one if it is not given.")
@click.option("--new-secret-key-file", metavar="FILE", help="File with its secret key; - for standard input.")
@asks_server
def user_key_add(
    server: Any, *, as_json: bool, name: str, new_access_key: str, new_secret_key_file: str | None
) -> None:
    """Give a user one more key."""
    secret = read_secret(new_secret_key_file) if new_secret_key_file else ""
    answer = server.call("POST", "users", name, "keys", body={"access_key": new_access_key, "secret_key": secret})
    show_answer(answer, _key_lines(answer), as_json=as_json)


@user_key.command("rm")
@click.argument("name")
@click.argument("key")
@asks_server
def user_key_rm(server: Any, *, as_json: bool, name: str, key: str) -> None:
    """Remove a key of a user."""
    show_answer(server.call("DELETE", "users", name, "keys", key), [], as_json=as_json)


def _switch(verb: str, *, active: bool) -> None:
    @user_key.command(verb, help=f"Switch a key {'on' if active else 'off'}.")
    @click.argument("name")
    @click.argument("key")
    @asks_server
    def switch(server: Any, *, as_json: bool, name: str, key: str) -> None:
        show_answer(server.call("PATCH", "users", name, "keys", key, body={"active": active}), [], as_json=as_json)


_switch("enable", active=True)
_switch("disable", active=False)


# --- groups


@click.group()
def group() -> None:
    """Groups of users of a running server."""


@group.command("add")
@click.argument("name")
@asks_server
def group_add(server: Any, *, as_json: bool, name: str) -> None:
    """Make a group."""
    answer = server.call("POST", "groups", body={"name": name})
    show_answer(answer, [f"made {answer['arn']}"], as_json=as_json)


@group.command("ls")
@asks_server
def group_ls(server: Any, *, as_json: bool) -> None:
    """List all groups."""
    found = list(server.every("groups"))
    lines = (
        f"{it['name']:24}  policies {_listed([*it['policies'], *it['inline']])}  users {_listed(it['users'])}"
        for it in found
    )
    show_answer(found, lines, as_json=as_json, if_none="there are no groups")


@group.command("show")
@click.argument("name")
@asks_server
def group_show(server: Any, *, as_json: bool, name: str) -> None:
    """Show a group, its users and its policies."""
    answer = server.call("GET", "groups", name)
    lines = _field_lines(answer, ("arn", "id", "created"), ("users", "policies", "inline"))
    show_answer(answer, lines, as_json=as_json)


@group.command("rm")
@click.argument("name")
@asks_server
def group_rm(server: Any, *, as_json: bool, name: str) -> None:
    """Remove a group that has no users and no policies."""
    show_answer(server.call("DELETE", "groups", name), [], as_json=as_json)


@group.command("join")
@click.argument("name")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@asks_server
def group_join(server: Any, *, as_json: bool, name: str, users: tuple[str, ...]) -> None:
    """Put users into a group."""
    for one in users:
        show_answer(server.call("PUT", "groups", name, "users", one), [], as_json=as_json)


@group.command("leave")
@click.argument("name")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@asks_server
def group_leave(server: Any, *, as_json: bool, name: str, users: tuple[str, ...]) -> None:
    """Take users out of a group."""
    for one in users:
        show_answer(server.call("DELETE", "groups", name, "users", one), [], as_json=as_json)


# --- policies


@click.group()
def policy() -> None:
    """Managed policies of a running server."""


@policy.command("ls")
@asks_server
def policy_ls(server: Any, *, as_json: bool) -> None:
    """List all managed policies, those that are always there too."""
    found = list(server.every("policies"))
    lines = (f"{it['name']:24}  {it['source']:5}  {it['version']:3}  attached {it['attachments']}" for it in found)
    show_answer(found, lines, as_json=as_json)


@policy.command("show")
@click.argument("name")
@asks_server
def policy_show(server: Any, *, as_json: bool, name: str) -> None:
    """Show the document of a managed policy."""
    answer = server.call("GET", "policies", name)
    show_answer(answer, json.dumps(answer["document"], indent=2).split("\n"), as_json=as_json)


@policy.command("put")
@click.argument("name")
@click.argument("file")
@asks_server
def policy_put(server: Any, *, as_json: bool, name: str, file: str) -> None:
    """Make a managed policy of a FILE, - for standard input, or let that document take the place of the one it has."""
    answer = server.call("PUT", "policies", name, body=read_document(file))
    show_answer(answer, [f"{answer['arn']} {answer['version']}"], as_json=as_json)


@policy.command("rm")
@click.argument("name")
@asks_server
def policy_rm(server: Any, *, as_json: bool, name: str) -> None:
    """Remove a managed policy that is attached to nothing."""
    show_answer(server.call("DELETE", "policies", name), [], as_json=as_json)


# --- roles


@click.group()
def role() -> None:
    """Roles of a running server."""


@role.command("add")
@click.argument("name")
@click.argument("file")
@click.option("--boundary", default="", metavar="NAME", help="A managed policy that bounds what its policies give.")
@asks_server
def role_add(server: Any, *, as_json: bool, name: str, file: str, boundary: str) -> None:
    """Make a role; FILE is the policy that says who may assume it, - for standard input."""
    try:
        trust = json.loads(read_document(file))
    except ValueError as error:
        fail(f"{file} is not JSON: {error}")
    answer = server.call("POST", "roles", body={"name": name, "trust": trust, "boundary": boundary})
    show_answer(answer, [f"made {answer['arn']}"], as_json=as_json)


@role.command("show")
@click.argument("name")
@asks_server
def role_show(server: Any, *, as_json: bool, name: str) -> None:
    """Show a role, its policies, what bounds them, and who may assume it."""
    answer = server.call("GET", "roles", name)
    lines = _field_lines(answer, ("arn", "id", "created", "boundary"), ("policies", "inline"))
    show_answer(answer, [*lines, *json.dumps(answer["trust"], indent=2).split("\n")], as_json=as_json)


@role.command("trust")
@click.argument("name")
@click.argument("file")
@asks_server
def role_trust(server: Any, *, as_json: bool, name: str, file: str) -> None:
    """Let FILE, - for standard input, say from now on who may assume a role."""
    show_answer(server.call("PUT", "roles", name, "trust", body=read_document(file)), [], as_json=as_json)


@role.command("ls")
@asks_server
def role_ls(server: Any, *, as_json: bool) -> None:
    """List all roles."""
    found = list(server.every("roles"))
    lines = (f"{it['name']:24}  policies {_listed([*it['policies'], *it['inline']])}" for it in found)
    show_answer(found, lines, as_json=as_json, if_none="there are no roles")


@role.command("rm")
@click.argument("name")
@asks_server
def role_rm(server: Any, *, as_json: bool, name: str) -> None:
    """Remove a role with its policies; its sessions stop."""
    show_answer(server.call("DELETE", "roles", name), [], as_json=as_json)


# --- the policies of users, groups and roles


def _give_policies(of: click.Group, folder: str) -> None:
    noun = of.name

    @of.group("policy", help=f"Policies of a {noun}.")
    def policies() -> None:
        pass

    def add(verb: str, method: str, kind: str, text: str) -> None:
        @policies.command(verb, help=text)
        @click.argument("name")
        @click.argument("policy")
        @asks_server
        def act(server: Any, *, as_json: bool, name: str, policy: str) -> None:
            show_answer(server.call(method, folder, name, kind, policy), [], as_json=as_json)

    add("attach", "PUT", "policies", f"Attach a managed policy to a {noun}.")
    add("detach", "DELETE", "policies", f"Detach a managed policy from a {noun}.")
    add("rm", "DELETE", "inline", f"Remove a policy of a {noun} itself.")

    @policies.command("put", help=f"Give a {noun} a policy of its own; FILE is the document, - for standard input.")
    @click.argument("name")
    @click.argument("policy")
    @click.argument("file")
    @asks_server
    def put(server: Any, *, as_json: bool, name: str, policy: str, file: str) -> None:
        show_answer(server.call("PUT", folder, name, "inline", policy, body=read_document(file)), [], as_json=as_json)

    @policies.command("show", help=f"Show a policy of a {noun} itself.")
    @click.argument("name")
    @click.argument("policy")
    @asks_server
    def show(server: Any, *, as_json: bool, name: str, policy: str) -> None:
        answer = server.call("GET", folder, name, "inline", policy)
        show_answer(answer, json.dumps(answer, indent=2).split("\n"), as_json=as_json)


def _give_boundary(of: click.Group, folder: str) -> None:
    noun = of.name

    @of.group("boundary", help=f"What bounds the policies of a {noun}.")
    def boundary() -> None:
        pass

    @boundary.command("set", help=f"Have the policies of a {noun} give nothing that a managed policy does not give.")
    @click.argument("name")
    @click.argument("policy")
    @asks_server
    def set_one(server: Any, *, as_json: bool, name: str, policy: str) -> None:
        show_answer(server.call("PUT", folder, name, "boundary", policy), [], as_json=as_json)

    @boundary.command("rm", help=f"Let the policies of a {noun} give all that they say.")
    @click.argument("name")
    @asks_server
    def remove(server: Any, *, as_json: bool, name: str) -> None:
        show_answer(server.call("DELETE", folder, name, "boundary"), [], as_json=as_json)


_give_boundary(user, "users")
_give_boundary(role, "roles")
_give_policies(user, "users")
_give_policies(group, "groups")
_give_policies(role, "roles")

GROUPS = (user, group, policy, role)
