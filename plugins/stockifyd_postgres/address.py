"""Where a database is: from a URL, or from the environment of the platform."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stockifyd.api import Drift, Secret

PORT = 5432
POOLER_PORT = 6432


@dataclass(frozen=True, slots=True)
class Address:
    """A database and the role that goes there. Prints without its password."""

    host: str
    port: int
    database: str
    user: str
    password: Secret | None = None
    tls: str = ""
    root_cert: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether nothing leaves this machine: a unix socket or a loopback address."""
        if self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def arguments(self) -> dict[str, Any]:
        """The arguments of asyncpg.connect that say where and who."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password.reveal() if self.password else None,
            "ssl": self._tls(),
        }

    def _tls(self) -> Any:
        mode = self.tls or ("disable" if self.loopback else "verify-full")
        if mode == "disable":
            return False
        if mode in ("allow", "prefer", "require"):
            return mode
        context = ssl.create_default_context(cafile=self.root_cert or None)
        context.check_hostname = mode == "verify-full"
        return context


TLS_MODES = ("", "disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def resolve(database: Secret, environment: Mapping[str, str] = os.environ) -> Address:
    """What `database:` of a spec means: a URL, or `primary` of the environment."""
    text = database.reveal()
    if text != "primary":
        return parse(text, environment)
    if url := environment.get("DATABASE_URL"):
        return parse(url, environment)
    if not (host := environment.get("DATABASE_PRIMARY_HOST")):
        raise Drift("no primary database is named", hint="set DATABASE_URL, or DATABASE_PRIMARY_HOST and its companions")
    return _of_platform(host, _port(environment.get("DATABASE_PORT", ""), POOLER_PORT), environment)


def replicas(environment: Mapping[str, str] = os.environ) -> list[Address]:
    """The read replicas of the environment, in the order in which they are named; HOST:PORT where one has its own."""
    hosts = [host.strip() for host in environment.get("DATABASE_REPLICA_HOSTS", "").split(",") if host.strip()]
    if not hosts:
        raise Drift("no replica is named", hint="set DATABASE_REPLICA_HOSTS, or name a database by its URL")
    found = []
    for text in hosts:
        host, colon, port = text.rpartition(":")
        number = _port(port if colon else environment.get("DATABASE_PORT", ""), POOLER_PORT)
        found.append(_of_platform(host if colon else text, number, environment))
    return found


def _of_platform(host: str, port: int, environment: Mapping[str, str]) -> Address:
    password = environment.get("DATABASE_PASSWORD")
    user = environment.get("DATABASE_USER", "postgres")
    return Address(
        host,
        port,
        environment.get("DATABASE_NAME", user),
        user,
        Secret(password) if password else None,
        _mode(environment.get("DATABASE_SSLMODE", "")),
    )


def parse(url: str, environment: Mapping[str, str] = os.environ) -> Address:
    """The address a URL names; errors never quote the URL, it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Drift("the database's URL cannot be read", hint="postgresql://user:password@host:6432/name") from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise Drift("the database's URL does not begin with postgresql://", hint="postgresql://user:password@host:6432/name")
    query = dict(parse_qsl(parts.query))
    user = unquote(parts.username or query.get("user", "")) or environment.get("DATABASE_USER", "postgres")
    password = unquote(parts.password or "") or environment.get("DATABASE_PASSWORD", "")
    return Address(
        unquote(parts.hostname or "") or query.get("host", "localhost"),
        port or _port(query.get("port", ""), PORT),
        unquote(parts.path.lstrip("/")) or user,
        user,
        Secret(password) if password else None,
        _mode(query.get("sslmode", environment.get("DATABASE_SSLMODE", ""))),
        query.get("sslrootcert", ""),
    )


def _port(text: str, default: int) -> int:
    if text and not text.isdigit():
        raise Drift(f"the database's port {text!r} is not a number", hint="set DATABASE_PORT to the pooler's port, such as 6432")
    return int(text) if text else default


def _mode(text: str) -> str:
    if text not in TLS_MODES:
        raise Drift(f"sslmode {text!r} is not known", hint=f"one of {', '.join(TLS_MODES[1:])}")
    return text
