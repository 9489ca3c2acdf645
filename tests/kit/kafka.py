"""A real Apache Kafka for tests: one KRaft node on loopback, started, stopped, killed and restarted by pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from kit.ports import free_ports

VERSION = "4.1.0"
POM = Path(__file__).with_name("kafka.pom.xml")
MODULES = "org.apache.kafka.common.security"
PROTOCOLS = "CLIENT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL"
CLUSTER_ID = "c3RvY2tpZnlkLWthZmthMQ"
JAVA = ("java", "-Xms96m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class KafkaMissingError(RuntimeError):
    """Something that a test needs to start Kafka is not there; the text says how to get it."""


def cache_folder() -> Path:
    """Where downloads are kept between runs."""
    return Path(os.environ.get("STOCKIFYD_CACHE") or Path.home() / ".cache" / "stockifyd")


def fetch_jars() -> Path:
    """The folder of Kafka's jars, fetched from Maven Central by the first who asks."""
    jars = cache_folder() / f"kafka-{VERSION}"
    if jars.is_dir():
        return jars
    for program, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            raise KafkaMissingError(f"{program} is not on the path\n  HINT: apt-get install {package}")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as folder:
        shutil.copy(POM, Path(folder) / "pom.xml")
        command = ["mvn", "-q", "-B", f"-Dkafka.version={VERSION}", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KafkaMissingError(
                f"maven could not fetch Kafka {VERSION}:\n{done.stdout[-2000:]}\n"
                f"  HINT: it needs Maven Central, or a folder of the jars at {jars}"
            )
        try:
            (Path(folder) / "jars").rename(jars)
        except OSError:  # somebody else was faster
            if not jars.is_dir():
                raise
    return jars


class KafkaServer:
    """One broker that is its own controller.

    `bootstrap` is where programs under test connect; `direct` is a second door for the test's own clients, which stays
    open when `advertised_port` puts a proxy before the first one. Set `advertised_port` before `start`.
    """

    def __init__(self, folder: Path, *, properties: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port, self.direct_port, self.sasl_port, self.tls_port, self._controller_port = free_ports(5)
        self.advertised_port = self.port
        self.properties = dict(properties or {})
        self.users: dict[str, str] = {}
        self.certificate: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """For programs under test; through the proxy, if there is one."""
        return f"127.0.0.1:{self.advertised_port}"

    @property
    def direct(self) -> str:
        """For the test's own clients."""
        return f"127.0.0.1:{self.direct_port}"

    @property
    def sasl(self) -> str:
        """The door that asks for a user and a password; there is one where `users` are set."""
        return f"127.0.0.1:{self.sasl_port}"

    @property
    def tls(self) -> str:
        """The door with TLS; there is one where `certificate` (a PEM file of key and certificate) is set."""
        return f"127.0.0.1:{self.tls_port}"

    @property
    def pid(self) -> int:
        """The broker's process id; 0 when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self, *, timeout_secs: float = 90) -> None:
        """Format the folder if it is new, start, and wait until the broker answers."""
        jars = fetch_jars()
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(jars, config)
        with (self.folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*JAVA, "-cp", f"{jars}/*", "kafka.Kafka", str(config)], stdout=log, stderr=log, cwd=self.folder
            )
        self._wait_until_up(time.monotonic() + timeout_secs)

    def stop(self) -> None:
        """Shut down in good order; killed if that takes over half a minute."""
        if (process := self._process) is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def kill(self) -> None:
        """kill -9."""
        if (process := self._process) is not None:
            process.kill()
            process.wait()
        self._process = None

    def restart(self) -> None:
        """Stop if it runs, and start again on the same ports and data."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: the broker is there, and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, characters: int = 3000) -> str:
        """The end of what the broker printed."""
        log = self.folder / "kafka.log"
        return log.read_text(errors="replace")[-characters:] if log.exists() else ""

    def _format(self, jars: Path, config: Path) -> None:
        command = [*JAVA, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
        for user, password in self.users.items():
            command += ["--add-scram", f"SCRAM-SHA-256=[name={user},password={password}]"]
            command += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KafkaMissingError(f"kafka's folder could not be formatted:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _wait_until_up(self, deadline: float) -> None:
        waiting = [self.port, self.direct_port]
        while waiting:
            if not self.pid:
                raise KafkaMissingError(f"kafka ended while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise KafkaMissingError(f"kafka does not listen on {waiting}:\n{self.log_tail()}")
            waiting = [port for port in waiting if not _answers(port)]
            time.sleep(0.05)

    def _settings(self) -> dict[str, str]:
        doors = {"CLIENT": (self.port, self.advertised_port), "DIRECT": (self.direct_port, self.direct_port)}
        if self.users:
            doors["SASL"] = (self.sasl_port, self.sasl_port)
        if self.certificate:
            doors["TLS"] = (self.tls_port, self.tls_port)
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "DIRECT",
            "listeners": _listeners(
                (name, own) for name, (own, _) in [*doors.items(), ("CONTROLLER", (self._controller_port, 0))]
            ),
            "advertised.listeners": _listeners((name, shown) for name, (_, shown) in doors.items()),
            "listener.security.protocol.map": PROTOCOLS,
            "log.dirs": str(self.folder / "data"),
            "num.partitions": "1",
            "auto.create.topics.enable": "false",
            "log.retention.ms": "-1",  # goes by the records' own times: tests with old ones would lose them after five minutes
            "offsets.topic.num.partitions": "3",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "3",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "log.retention.check.interval.ms": "1000",
            "log.cleaner.enable": "false",
            "num.network.threads": "2",
            "num.io.threads": "4",
            **(self._sasl_settings() if self.users else {}),
            **(self._tls_settings() if self.certificate else {}),
            **self.properties,
        }

    def _tls_settings(self) -> dict[str, str]:
        return {"listener.name.tls.ssl.keystore.type": "PEM", "listener.name.tls.ssl.keystore.location": str(self.certificate)}

    def _sasl_settings(self) -> dict[str, str]:
        plain = " ".join(f'user_{user}="{password}"' for user, password in self.users.items())
        return {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl.plain.sasl.jaas.config": f"{MODULES}.plain.PlainLoginModule required {plain};",
            **{
                f"listener.name.sasl.scram-sha-{bits}.sasl.jaas.config": (f"{MODULES}.scram.ScramLoginModule required;")
                for bits in (256, 512)
            },
        }


def _listeners(doors: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in doors)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
