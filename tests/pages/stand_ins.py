"""Programs that pages name and tests cannot have: a service manager, a container engine, a cluster, the right of root.

Each does what matters here: it starts the server as the file that it is given says, in place of a container the image's
entry point as a plain command; and it fails where that file could not be used. What it does not know is an error.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.waiting import wait_until

RUN = Path(os.environ.get("PAGE_RUN", "."))
MACHINE = RUN / "machine"
ROOT = Path(__file__).parents[2]
UNIT = MACHINE / "etc/systemd/system/s3ish.service"


# --- servers


def start(name, argv, environment=None, folder=None):
    """Start a server, and return when it is ready. It is ended by ``stop``."""
    log = RUN / f"{name}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            list(map(str, argv)),
            env=os.environ | (environment or {}),
            cwd=folder,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    (RUN / f"{name}.pid").write_text(str(process.pid))
    wait_until(lambda: process.poll() is not None or "\nReady.\n" in log.read_text())
    if process.poll() is not None:
        sys.exit(f"{argv} has ended: {log.read_text()}")
    return process


def stop(name, folder=RUN):
    """End a server that was started, and wait for that."""
    file = folder / f"{name}.pid"
    if not file.exists():
        return
    number = int(file.read_text())
    os.kill(number, signal.SIGTERM)
    wait_until(lambda: has_ended(number))
    file.unlink()


def has_ended(number):
    """Whether a process has ended; one whose end nobody has asked for yet is a zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stop_all(folder):
    """End what a page has started in its folder."""
    for file in folder.glob("*.pid"):
        number = int(file.read_text())
        if not has_ended(number):
            stop(file.stem, folder)


def in_a_terminal(line):
    """Start a server by a line for a shell."""
    start(f"terminal-{time.monotonic_ns()}", ["bash", "-c", line])


def stop_terminals():
    """End the servers that have a terminal of their own, as with Ctrl-C."""
    for started in RUN.glob("terminal-*.pid"):
        stop(started.stem)


# --- root


def sudo(*command):
    """Run a command without its owners, which a user of tests cannot give."""
    if command[:2] == ("-u", "s3ish"):
        command = command[2:]
    if command[0] == "install":
        command = re.sub(r" -[og] \S+", "", " ".join(command)).split(" ")
    elif command[0] == "chown":
        return
    ended = subprocess.run(list(command), check=False)
    sys.exit(ended.returncode)


def useradd(*arguments):
    """Make no user."""
    assert arguments == ("--system", "--no-create-home", "s3ish"), arguments


# --- systemd


def systemctl(verb, *arguments):
    """Start and stop the unit s3ish, with its command, its variables and its credentials."""
    assert {verb: arguments} in (
        {"daemon-reload": ()},
        {"enable": ("--now", "s3ish")},
        *({each: ("s3ish",)} for each in ("start", "stop", "restart")),
    ), (verb, arguments)
    if verb in ("stop", "restart"):
        stop("unit")
    if verb in ("enable", "start", "restart"):
        if not UNIT.exists():
            install_unit()
        unit = on_this_machine(UNIT.read_text())
        given = dict(re.findall(r"^(ExecStart|Environment|LoadCredential)=(.*)$", unit, re.M))
        name, _, file = given["LoadCredential"].partition(":")
        assert Path(file).name == name
        folder = Path(file).parent
        variables = dict(pair.split("=", 1) for pair in given["Environment"].replace("%d", str(folder)).split(" "))
        start("unit", given["ExecStart"].split(" "), variables | {"CREDENTIALS_DIRECTORY": str(folder)})


def install_unit():
    """Install the unit of the examples, for a page whose reader has done so before."""
    for folder in ("srv/s3/drive1", "srv/s3/drive2", "srv/s3/drive3", "etc/s3ish"):
        (MACHINE / folder).mkdir(parents=True, exist_ok=True)
    (MACHINE / "etc/s3ish/config.toml").touch()
    (MACHINE / "etc/s3ish/secret_key").write_text("a-secret-key-for-this-test\n")
    UNIT.write_text((ROOT / "docs/examples/s3ish.service").read_text())


def on_this_machine(text):
    """Return a text whose folders are those of the test."""
    return re.sub(
        r"(?<![\w.:/-])/(?=(?:srv|mnt|etc/s3ish|opt|backup|data)\b)|(?<=:)/(?=etc/s3ish)", f"{MACHINE}/", text
    )


# --- containers


def of_image(target=""):
    """Return the entry point, the command and the variables of the image, as the Dockerfile gives them."""
    text = (ROOT / "Dockerfile").read_text()
    server, _, others = text.partition("FROM server AS test\n")
    variables = dict(re.findall(r"(S3ISH_\w+)=(\S+)", server))
    if target == "test":
        variables |= dict(re.findall(r"(S3ISH_\w+)=(\S+)", others))
    else:
        assert not target, target
    (entry,), (command,) = (re.findall(rf"^{word} (\[.*\])$", server, re.M) for word in ("ENTRYPOINT", "CMD"))
    return json.loads(entry), json.loads(command), variables


def container(name, image, command, variables, mounts):
    """Start the image's entry point with what a container would be given. ``mounts``: of the host, by their place."""
    entry, default, own = of_image("test" if image.endswith(":test") else "")
    os.environ.pop("S3ISH_PORT")
    environment = own | {key: value.replace(f"{MACHINE}/", "/") for key, value in variables.items()}
    argv = [*entry, *(text.replace(f"{MACHINE}/", "/") for text in command or default)]
    for place, host in sorted(mounts.items(), reverse=True):
        host.mkdir(parents=True, exist_ok=True)
        environment = {key: put(value, place, host) for key, value in environment.items()}
        argv = [put(text, place, host) for text in argv]
    start(name, argv, environment)


def put(text, place, host):
    """Return a text with a folder of the container where it is on the host."""
    return re.sub(rf"(?<![\w/.]){re.escape(place)}(?![\w])", str(host), text)


def docker(verb, *arguments):
    """Run the image, or what a compose file says, by its entry point."""
    words = list(arguments)
    if verb == "build":
        target = words[words.index("--target") + 1] if "--target" in words else ""
        assert words[-1] == "."
        of_image(target)
    elif verb == "compose":
        compose(words)
    elif verb == "stop":
        stop(f"container-{words[0]}")
    elif verb == "run":
        docker_run(words)
    else:
        sys.exit(f"docker {verb} {words}")


def docker_run(words):
    """See ``docker run``."""
    flags, valued = {"--detach", "--rm"}, {"--name", "--publish", "--volume", "--stop-timeout", "--env"}
    given = {}
    while words and words[0].startswith("--"):
        flag = words.pop(0)
        assert flag in flags | valued, flag
        if flag in valued:
            given.setdefault(flag, []).append(words.pop(0))
    image, *command = words
    mounts = {}
    for volume in given.get("--volume", ()):
        host, place = volume.split(":")[:2]
        mounts[place] = Path(host) if host.startswith("/") else RUN / "volumes" / host
    variables = dict(pair.split("=", 1) for pair in given.get("--env", ()))
    port = given["--publish"][0].rpartition(":")[2]
    name = given.get("--name", ["unnamed"])[0]
    container(f"container-{name}", image, command, variables | {"S3ISH_PORT": port}, mounts)


def compose(words):
    """See ``docker compose up`` and ``down``: the services that are of the image."""
    file = Path(words.pop(words.index("-f") + 1) if "-f" in words else "compose.yaml")
    words = [word for word in words if word not in ("-f", "--wait", "--build", "--detach")]
    verb, *names = words
    assert verb in ("up", "down"), words
    if verb == "down":
        for started in RUN.glob("service-*.pid"):
            stop(started.stem)
        return
    import yaml

    composed = yaml.safe_load(file.read_text())
    for name, service in composed["services"].items():
        if names and name not in names:
            continue
        if "build" not in service and not service["image"].startswith("s3ish"):
            continue
        start_service(name, service, file.resolve().parent)


def start_service(name, service, folder):
    """Start a service of a compose file."""
    if "build" in service:
        context = service["build"] if isinstance(service["build"], str) else service["build"]["context"]
        assert (folder / context / "Dockerfile").exists(), context
        target = "" if isinstance(service["build"], str) else service["build"].get("target", "")
    else:
        target = "test" if service["image"].endswith(":test") else ""
    mounts = {}
    for volume in service.get("volumes", ()):
        host, place = volume.split(":")[:2]
        mounts[place] = (folder / on_this_machine(host)).resolve() if host[0] in "./" else RUN / "volumes" / host
    variables = {key: filled(str(value)) for key, value in service.get("environment", {}).items()}
    command = service.get("command", [])
    command = command.split() if isinstance(command, str) else command
    if service.get("ports", ["9000"])[0].endswith("9000"):  # that of the image
        variables["S3ISH_PORT"] = os.environ["S3ISH_PORT"]
    container(f"service-{name}", f"s3ish:{target}", command, variables, mounts)


def filled(text):
    """Return a text of a compose file with the variables of the shell."""

    def value(found):
        name, rest = found[1], found[2] or ""
        if rest.startswith(":?"):
            assert os.environ.get(name), name
        return os.environ.get(name) or rest.removeprefix(":-")

    return re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", value, text)


# --- workflows


def run_steps(*files):
    """Run the steps of workflows one after the other, as a runner does; what they leave running goes on."""
    import yaml

    for file in files:
        (job,) = yaml.safe_load(Path(file).read_text())["jobs"].values()
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            if "run" in step and step["run"] != "pip install s3ish":  # the one under test is there
                run_step(step["run"], os.environ | {"GITHUB_ACTIONS": "true"} | job.get("env", {}))


def run_step(script, environment):
    """Run a step; note what it has left running."""
    ended = subprocess.run(["bash", "-e", "-c", f"{script}\njobs -p > {RUN}/left"], env=environment, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)
    for number in (RUN / "left").read_text().split():
        (RUN / f"step-{number}.pid").write_text(number)


# --- Kubernetes


def kubectl(verb, *arguments):
    """Start what a StatefulSet says, with the variables of its container and a folder for each volume."""
    import kubernetes_validate
    import yaml

    state = RUN / "cluster.yaml"
    if verb == "apply":
        flag, file = arguments
        assert flag == "-f"
        for manifest in yaml.safe_load_all(Path(file).read_text()):
            kubernetes_validate.validate(manifest, "1.36.0", strict=True)
        state.write_text(Path(file).read_text())
        return
    manifests = {it["kind"]: it for it in yaml.safe_load_all(state.read_text())}
    named = {f"{kind.lower()}/{it['metadata']['name']}" for kind, it in manifests.items()}
    *words, target = [word for word in arguments if not word.isdigit()]
    assert target in named, target
    if (verb, words) == ("rollout", ["status"]):
        secrets = manifests["Secret"]["stringData"]
        (each,) = manifests["StatefulSet"]["spec"]["template"]["spec"]["containers"]
        variables = {it["name"]: secrets[it["valueFrom"]["secretKeyRef"]["key"]] for it in each["env"]}
        mounts = {it["mountPath"]: RUN / "volumes" / it["name"] for it in each["volumeMounts"]}
        container("pod", each["image"], [], variables | {"S3ISH_PORT": os.environ["S3ISH_PORT"]}, mounts)
    else:
        assert (verb, words) == ("port-forward", []), (verb, words)


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
