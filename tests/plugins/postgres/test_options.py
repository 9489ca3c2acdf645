"""Options and addresses: what is refused without a connection, and what nothing may print."""

from __future__ import annotations

import ssl
from typing import Any

import msgspec
import pytest

from stockifyd.api import Drift, Secret, configure
from stockifyd_postgres.address import parse, resolve
from stockifyd_postgres.options import PostgresOptions
from stockifyd_postgres.sink import Postgres

TABLES = {"options": {"into": "option_contracts"}}


def options(**given: Any) -> PostgresOptions:
    made = configure(Postgres, {"tables": TABLES, **given})
    assert isinstance(made, PostgresOptions)
    return made


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tables": {}}, "tables"),
        ({"tables": {"a": {"into": "x; DROP TABLE y"}}}, "not a table's name"),
        ({"tables": {"a": {"into": "a.b.c"}}}, "not a table's name"),
        ({"tables": {"a": {"into": "a", "columns": ['x"y']}}}, "not a column's name"),
        ({"tables": {"a": {"into": "a", "key": ["k"], "columns": ["x"]}}}, "not among columns"),
        ({"tables": {"a": {"into": "t"}, "b": {"into": "public.t"}}}, "two of them"),
        ({"tables": {"a": {"into": "a", "on_conflict": "replace"}}}, "on_conflict"),
        ({"database": "mysql://x"}, "write `primary`"),
        ({"tabel": {}}, "tabel"),
    ],
)
def test_a_wrong_option_is_refused(given: dict[str, Any], words: str) -> None:
    """Each with its path and what is allowed."""
    with pytest.raises(msgspec.ValidationError, match=words):
        options(**given)


def test_an_url_is_never_printed() -> None:
    """It may hold a password."""
    assert "hunter2" not in repr(options(database="postgresql://u:hunter2@h/d"))
    assert "hunter2" not in repr(parse("postgresql://u:hunter2@h/d", {}))


def test_a_bad_url_is_not_quoted() -> None:
    """An error about a URL tells its form, not its content."""
    with pytest.raises(Drift) as caught:
        parse("postgresql://u:hunter2@h:port/d", {})
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_primary_is_database_url_first() -> None:
    """DATABASE_URL wins over the parts."""
    address = resolve(Secret("primary"), {"DATABASE_URL": "postgresql://u@h:1/d", "DATABASE_PRIMARY_HOST": "other"})
    assert (address.host, address.port, address.database, address.user) == ("h", 1, "d", "u")


def test_primary_is_made_of_parts() -> None:
    """The names that the platform's environment has; the port is the pooler's."""
    parts = {
        "DATABASE_PRIMARY_HOST": "pgbouncer-primary",
        "DATABASE_NAME": "stockify",
        "DATABASE_USER": "w",
        "DATABASE_PASSWORD": "p",
    }
    address = resolve(Secret("primary"), parts)
    assert (str(address), address.database, address.user) == ("pgbouncer-primary:6432", "stockify", "w")
    assert address.password is not None
    assert address.password.reveal() == "p"


def test_primary_without_environment_names_the_variables() -> None:
    """Nothing is guessed."""
    with pytest.raises(Drift) as caught:
        resolve(Secret("primary"), {})
    assert "DATABASE_PRIMARY_HOST" in caught.value.hint


def test_a_password_is_unquoted() -> None:
    """Percent signs stand for characters that a URL cannot have."""
    address = parse("postgresql://u:a%40b%2Fc@h/d", {})
    assert address.password == Secret("a@b/c")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_loopback_needs_no_tls(host: str) -> None:
    """Nothing leaves the machine."""
    assert parse(f"postgresql://u@{host}/d", {}).arguments()["ssl"] is False


def test_a_unix_socket_needs_no_tls() -> None:
    """The host is a folder."""
    address = parse("postgresql:///d?host=/run/postgresql&user=u", {})
    assert (address.host, address.user, address.arguments()["ssl"]) == ("/run/postgresql", "u", False)


def test_elsewhere_tls_is_verified_in_full() -> None:
    """Certificate and name, unless the URL says otherwise."""
    context = parse("postgresql://u@db.example/d", {}).arguments()["ssl"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert parse("postgresql://u@db.example/d?sslmode=disable", {}).arguments()["ssl"] is False
    with pytest.raises(Drift, match="sslmode"):
        parse("postgresql://u@db.example/d?sslmode=maybe", {})
