"""Each error of PostgreSQL, PgBouncer and asyncpg in its class."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from stockifyd.api import Drift, Fenced, Reject, Retry, Unavailable
from stockifyd_postgres.errors import ForeignKey, Lost, PartitionMissing, UniqueViolation, classify


def server_error(code: str, message: str = "words", **fields: Any) -> asyncpg.PostgresError:
    """As asyncpg makes it of what the server sent."""
    names = {"context": "W", "constraint_name": "n"}
    made = asyncpg.PostgresError.new({"S": "ERROR", "C": code, "M": message, **{names[k]: v for k, v in fields.items()}})
    assert isinstance(made, asyncpg.PostgresError)
    return made


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("08003 08P01 08006 57P01 57P02 57P03 53300 25006", Lost),
        ("40001 40P01 55P03 57014 25P03", Retry),
        ("23503", ForeignKey),
        ("53100 53200 53400 58030 XX000 XX001", Unavailable),
        ("22003 22P02 22021 23502 54000", Reject),
        ("23505", UniqueViolation),
        ("23514", PartitionMissing),
        ("42703 42P01 42501 3F000 28P01 28000 3D000 26000 42P05", Drift),
    ],
)
def test_the_class_of_an_sqlstate(codes: str, expected: type[Exception]) -> None:
    """As the table of the protocol has it."""
    found = {code: type(classify(server_error(code), gone=False, table="options")) for code in codes.split()}
    assert found == dict.fromkeys(codes.split(), expected)


@pytest.mark.parametrize(
    "error", [OSError(), TimeoutError(), ConnectionResetError(), asyncpg.InterfaceError("x"), asyncpg.InternalClientError("x")]
)
def test_a_broken_link_is_lost(error: Exception) -> None:
    """Whatever the driver calls it."""
    assert isinstance(classify(error, gone=False), Lost)


def test_a_connection_that_is_gone_is_asked_first() -> None:
    """An SQLSTATE of a connection that is gone says nothing of the row."""
    assert isinstance(classify(server_error("22003"), gone=True, table="options"), Lost)


def test_a_check_with_a_name_is_poison() -> None:
    """Without one it is a missing partition."""
    assert isinstance(classify(server_error("23514", constraint_name="c"), gone=False, table="options"), Reject)


def test_a_row_is_named_by_its_line() -> None:
    """COPY counts lines from 1, and from where this COPY began."""
    error = classify(
        server_error("22003", context="COPY option_contracts, line 3, column oi"), gone=False, table="options", first_row=100
    )
    assert isinstance(error, Reject)
    assert (error.table, error.row, error.code) == ("options", 102, "22003")


@pytest.mark.parametrize(
    "message", ['invalid input syntax for type json: "secret"', 'value "secret" is out of range for type integer']
)
def test_a_reason_has_nothing_of_the_row(message: str) -> None:
    """What the server quotes of it is cut."""
    assert "secret" not in str(classify(server_error("22P02", message), gone=False, table="options"))


def test_names_of_relations_stay() -> None:
    """An operator needs them."""
    assert 'relation "t"' in str(classify(server_error("42P01", 'relation "t" does not exist'), gone=False))


def test_an_encode_error_is_poison_in_copy_alone() -> None:
    """Elsewhere a TypeError is a bug of ours."""
    bug = TypeError("x")
    assert isinstance(classify(bug, gone=False, table="options"), Reject)
    assert classify(bug, gone=False) is bug


def test_our_own_errors_pass() -> None:
    """They are classed already."""
    fenced = Fenced("x")
    assert classify(fenced, gone=True) is fenced


def test_statement_pooling_has_its_cure() -> None:
    """PgBouncer says it as a protocol violation."""
    error = classify(server_error("08P01", "transaction blocks not allowed in statement pooling mode"), gone=True)
    assert isinstance(error, Drift)
    assert "pool_mode = transaction" in error.hint
