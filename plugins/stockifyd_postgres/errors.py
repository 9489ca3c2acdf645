"""What PostgreSQL, PgBouncer and asyncpg raise, classed by what has to happen next.

Lost              the connection is gone: terminate, back off, read the offsets again
Unavailable       the server is sick or full: wait for it, never a dead letter
Retry             a deadlock, a lock or a timeout of ours: the same batch again
ForeignKey        what a row refers to is not there yet: again, and after three times a Reject
Reject            the row can never be stored
UniqueViolation   a key is already there: the ledger and `on_conflict` decide (a Drift, if nobody does)
PartitionMissing  no partition takes the row: make the day (a Drift, if it cannot be made)
Drift             the table, a right or the pooler is not what the spec says
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stockifyd.api import Drift, Reject, Retry, StockifydError, Unavailable

if TYPE_CHECKING:  # imported where it is needed: `stockifyd validate` imports this module
    import asyncpg

CHECK, DUPLICATE, FOREIGN_KEY = "23514", "23505", "23503"
LINE = re.compile(r"\bline (\d+)")
GONE = {"08003", "08P01", "57P01", "57P02", "57P03", "53300", "25006"}
AGAIN = {"40001", "40P01", "55P03", "57014", "25P03"}
SICK = {"53100", "53200", "53400", "58030", "58000", "XX000", "XX001", "XX002"}
PREPARED = {"26000", "42P05"}
POISON = {"23502", CHECK, "54000"}
REFUSED = ("authentication failed", "no such user", "no such database")
QUOTED = re.compile(r'((?:value|input|range):? )"[^"]*"|: ".*$')
ENCODING = (TypeError, ValueError, OverflowError, AttributeError, IndexError, RecursionError)


class Lost(Unavailable):
    """The connection is gone; whether the last statement took effect is not known."""


class Refused(Drift):
    """What the sink itself may cure; a Drift if it cannot. `table` is the batch's table under way."""

    def __init__(self, reason: str, *, table: str, hint: str) -> None:
        super().__init__(reason, hint=hint)
        self.table = table


class UniqueViolation(Refused):
    """A key is already there."""


class ForeignKey(Retry):
    """What a row refers to is not there, or not yet."""


class PartitionMissing(Refused):
    """No partition of the table takes a row's time."""


def classify(error: Exception, *, gone: bool, table: str = "", first_row: int = 0) -> Exception:
    """The error to raise in place of another; `table` is the batch's table under way, `first_row` where its COPY began.

    asyncpg reports a lost connection by many types, so whether it is gone is asked before the SQLSTATE.
    """
    import asyncpg  # noqa: PLC0415  see above

    if isinstance(error, StockifydError):
        return error
    code: str = getattr(error, "sqlstate", None) or ""
    if "no binary format encoder" in str(error):
        return Drift(f"{table}: a column's type cannot be written by COPY", hint="write the table without it, see `columns`")
    if gone or _connection(error, code):
        return _lost(error)
    if isinstance(error, asyncpg.PostgresError) and code:
        return _of_server(error, code, table, first_row)
    if table and isinstance(error, ENCODING):
        return Reject(f"a value cannot be encoded: {type(error).__name__}", table=table)
    return error


def _connection(error: Exception, code: str) -> bool:
    """Whether the link broke. ConnectionError and TimeoutError are OSErrors; a value that cannot be encoded is a ValueError."""
    import asyncpg  # noqa: PLC0415  see above

    kinds = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    if isinstance(error, kinds) and not isinstance(error, ValueError):
        return True
    return code in GONE or code.startswith("08")


def _lost(error: Exception) -> StockifydError:
    text = _text(error)
    if "statement pooling" in text:
        return Drift(
            "the pooler pools by statement: no transaction can pass it", hint="set pool_mode = transaction in pgbouncer.ini"
        )
    if any(words in text for words in REFUSED):
        return Drift(f"the pooler refused us: {text}", hint="correct user, password or database name")
    return Lost(f"the connection to the database was lost: {text}")


def _of_server(error: asyncpg.PostgresError, code: str, table: str, first_row: int) -> StockifydError:
    text = f"{_text(error)} ({code})"
    if code in AGAIN:
        return Retry(text)
    if code in SICK or code.startswith(("53", "58", "XX")):
        return Unavailable(f"the database is not able to work: {text}", hint="see the server's log; disk, memory, hardware")
    if code in PREPARED:
        return Drift(f"the pooler mixes prepared statements up: {text}", hint="set pool_mode = transaction in pgbouncer.ini")
    return _of_row(error, text, table, first_row) or Drift(
        f"{table}: {text}" if table else text, hint="run `stockifyd migrate SPEC`, or correct the spec or the rights"
    )


def _of_row(error: asyncpg.PostgresError, text: str, table: str, first_row: int) -> StockifydError | None:
    code = error.sqlstate or ""
    if code == DUPLICATE:
        hint = "set on_conflict: ignore or update, or find who else writes"
        return UniqueViolation(f"{table or 'a table'}: {text}", table=table, hint=hint)
    if code == FOREIGN_KEY:
        return ForeignKey(f"{table}: {text}")
    if code == CHECK and not error.constraint_name:
        return PartitionMissing(f"{table}: {text}", table=table, hint="run `stockifyd migrate SPEC`, or create the partition")
    if table and (code.startswith("22") or code in POISON):
        return Reject(text, table=table, row=_row(error, first_row), code=code)
    return None


def _row(error: asyncpg.PostgresError, first_row: int) -> int | None:
    """The index of the row that COPY names, counting lines from 1."""
    found = LINE.search(getattr(error, "context", None) or "")
    return first_row + int(found[1]) - 1 if found else None


def _text(error: Exception) -> str:
    """The message without what the server quotes of the row."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return QUOTED.sub(lambda found: (found[1] or ": ") + "...", " ".join(str(message).split()))
