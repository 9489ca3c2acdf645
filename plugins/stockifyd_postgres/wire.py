"""The only way of rows into COPY: a faster encoder has one place to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stockifyd.api import Row
from stockifyd_postgres import values
from stockifyd_postgres.connection import Transaction

ROWS_A_COPY = 20_000
"""At most this many rows a COPY: asyncpg encodes them without giving way to the event loop."""


async def copy(
    transaction: Transaction, target: tuple[str, str], columns: Sequence[str], *, rows: list[Row], types: Mapping[str, str]
) -> None:
    """COPY rows into a table; a Reject names the row, where the server or the encoder lets it be found."""
    try:
        for start in range(0, len(rows), ROWS_A_COPY):
            transaction.first_row = start
            part = rows if len(rows) <= ROWS_A_COPY else rows[start : start + ROWS_A_COPY]
            await transaction.copy(target, columns, part)
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError):
        values.find(transaction.table, columns, types, rows)
        raise
