"""A broker of Apache Kafka on loopback, which can be killed and started again with what it has kept."""

import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 90
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secure},MISLEADING://127.0.0.1:{misleading},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{secure},MISLEADING://169.254.169.254:80
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,MISLEADING:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/log
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
ssl.keystore.type=PEM
ssl.keystore.location={folder}/keystore.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={login}.plain.PlainLoginModule required user_s3="p:w";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
"""
_LOGIN = "org.apache.kafka.common.security"
_SCRAM = [
    word
    for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    for word in ("--add-scram", f"{kind}=[name=s3,password={kind[-3:]}]")
]


class Broker:
    """The broker, with a user ``s3`` on the port of TLS: its password is ``p:w``, and by SCRAM ``256`` or ``512``.

    On the port ``misleading`` it says that it is at the address of a metadata service.

    Args:
        packages: the folder of its packages.
        folder: an empty one, for its data.
        certificate, key: PEM files.
    """

    def __init__(self, packages: Path, folder: Path, certificate: Path, key: Path) -> None:
        self.port, self.secure, self.misleading, controller = (_free_port() for _ in range(4))
        self._java = ["java", "-Xmx256m", "-cp", f"{packages}/*"]
        self._settings, self._log = folder / "server.properties", folder / "server.log"
        (folder / "keystore.pem").write_text(key.read_text() + certificate.read_text())
        ports = {"port": self.port, "secure": self.secure, "misleading": self.misleading, "controller": controller}
        self._settings.write_text(_PROPERTIES.format(folder=folder, login=_LOGIN, **ports))
        identity = ["format", "--cluster-id", "czNpc2gtY29tcGF0LTAwMA", "--config", self._settings, *_SCRAM]
        subprocess.run([*self._java, "kafka.tools.StorageTool", *identity], check=True, capture_output=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin; it takes connections when this returns."""
        with self._log.open("a") as output:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", self._settings], stdout=output, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + START_SECONDS
        while not (_listens(self.port) and _listens(self.secure)):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Kafka did not start: {self._log.read_text()[-600:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
