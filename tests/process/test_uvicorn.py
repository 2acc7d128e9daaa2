"""What is relied on of uvicorn's classes, of which little is its public interface: every member is named here.

Another release of uvicorn is taken when these tests pass with it: then the bound in pyproject.toml moves.
"""

import ast
import inspect
import re
import signal
import textwrap
import tomllib
from pathlib import Path

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS, Process

from s3ish.http.exchange import Exchange
from s3ish.http.protocol import LimitedProtocol
from s3ish.http.receive_buffer import ReceiveBuffer
from s3ish.process import serve, supervisor
from s3ish.process.lone import Lone
from s3ish.process.supervisor import Supervisor
from s3ish.process.worker import Worker

MEMBERS = {
    HttpToolsProtocol: """
        access_logger app client connection_lost connection_made connections cycle data_received eof_received flow
        headers logger loop on_body on_header on_headers_complete on_message_begin on_message_complete
        on_response_complete on_url parser pause_writing pipeline resume_writing scope send_400_response server
        server_state shutdown tasks timeout_keep_alive transport url _start_asgi_task
    """,
    RequestResponseCycle: """
        chunked_encoding default_headers disconnected expected_content_length flow keep_alive message_event more_body
        on_response receive response_complete response_started run_asgi scope send transport waiting_for_100_continue
    """,
    FlowControl: "drain pause_reading read_paused resume_reading write_paused",
    ServerState: "connections default_headers tasks total_requests",
    Server: "config run should_exit server_state",
    uvicorn.Config: "loaded_app timeout_graceful_shutdown",
    Multiprocess: """
        config handle_hup handle_signals handle_ttin handle_ttou init_processes keep_subprocess_alive processes
        processes_num run should_exit signal_queue sockets terminate_all
    """,
    Process: "always_pong child_conn exitcode is_alive kill parent_conn pid process start target terminate",
}
"""What is called, read, set or overridden."""

ARGUMENTS = {
    HttpToolsProtocol: "config server_state app_state _loop",
    RequestResponseCycle: """
        scope transport flow logger access_logger access_log default_headers message_event expect_100_continue
        keep_alive on_response
    """,
    Multiprocess: "config sockets",
    Process: "config sockets",
    Server: "config",
    uvicorn.Config: """
        app factory workers loop http ws lifespan interface log_config access_log server_header proxy_headers
        timeout_keep_alive timeout_graceful_shutdown backlog
    """,
}
"""What their constructors are given."""


def names_within(cls):
    """Return the members of a class, those of its instances included."""
    source = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    assigned = {
        node.attr
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    fields = {node.target.id for node in source.body[0].body if isinstance(node, ast.AnnAssign)}
    return assigned | fields | set(dir(cls))


@pytest.mark.parametrize("cls", MEMBERS, ids=lambda cls: cls.__name__)
def test_every_member_is_there(cls):
    missing = set(MEMBERS[cls].split()) - names_within(cls)
    assert not missing, f"uvicorn {uvicorn.__version__}: {cls.__name__} has no {', '.join(sorted(missing))} any more"


@pytest.mark.parametrize("cls", ARGUMENTS, ids=lambda cls: cls.__name__)
def test_every_argument_is_taken(cls):
    missing = set(ARGUMENTS[cls].split()) - set(inspect.signature(cls).parameters)
    assert not missing, f"uvicorn {uvicorn.__version__}: {cls.__name__} takes no {', '.join(sorted(missing))} any more"


def used(source, *owners):
    """Return the members that a text uses of what these expressions stand for, and the functions that it defines."""
    tree = ast.parse(textwrap.dedent(source))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in owners:
            found.add(node.attr)
    return found


@pytest.mark.parametrize(
    ("cls", "user", "owners"),
    [
        (HttpToolsProtocol, LimitedProtocol, ["self"]),
        (RequestResponseCycle, Exchange, ["self"]),
        (RequestResponseCycle, LimitedProtocol, ["self.cycle", "exchange", "earlier"]),
        (HttpToolsProtocol, ReceiveBuffer, ["self._protocol"]),
        (FlowControl, LimitedProtocol, ["self.flow"]),
        (FlowControl, Exchange, ["self.flow"]),
        (ServerState, LimitedProtocol, ["self.server_state"]),
        (Multiprocess, Supervisor, ["self"]),
        (uvicorn.Config, Supervisor, ["self.config"]),
        (Process, Worker, ["self"]),
        (Process, supervisor, ["process", "interim", "standby", "worker"]),
        (Server, Lone, ["self._server"]),
        (uvicorn.Config, Lone, ["self._server.config"]),
    ],
)
def test_every_member_that_is_used_is_named(cls, user, owners):
    relied = used(inspect.getsource(user), *owners) & names_within(cls)
    unnamed = {name for name in relied if not name.startswith("__")} - set(MEMBERS[cls].split())
    assert not unnamed, f"{user.__name__} uses {', '.join(sorted(unnamed))} of {cls.__name__}"


def test_every_argument_that_is_given_is_named():
    (call,) = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(serve)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "uvicorn.Config"
    ]
    assert {"app", *(keyword.arg for keyword in call.keywords)} == set(ARGUMENTS[uvicorn.Config].split())


def test_the_protocol_gets_the_application_itself():
    """It is asked for the answer to what the HTTP layer refuses: nothing may be wrapped around it."""

    async def application(_scope, _receive, _send):
        pass

    config = uvicorn.Config(
        lambda: application, factory=True, interface="asgi3", ws="none", log_config=None, proxy_headers=False
    )
    config.load()
    assert config.loaded_app is application


def test_constants():
    assert STATUS_LINE[503] == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert isinstance(STARTUP_FAILURE, int)
    assert SIGNALS[signal.SIGUSR1] == "USR1"  # for which ``handle_usr1`` is called


def test_no_other_release_is_taken_unseen():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (bound,) = [line for line in project["dependencies"] if line.startswith("uvicorn")]
    release = re.fullmatch(r"uvicorn>=\d+\.\d+,<(\d+)\.(\d+)", bound)
    assert tuple(map(int, uvicorn.__version__.split(".")[:2])) < tuple(map(int, release.groups()))
