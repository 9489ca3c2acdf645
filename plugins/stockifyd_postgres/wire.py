"""The only way of rows into COPY: as `encoding` has made them, else by asyncpg's encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stockifyd_postgres import values
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.encoding import BLOCK_ROWS
from stockifyd_postgres.loads import Load
from stockifyd_postgres.names import literal, qualified

ROWS_A_COPY = 20 * BLOCK_ROWS
"""At most this many rows a COPY: asyncpg encodes them without giving way to the event loop."""


async def settled(transaction: Transaction, loads: Sequence[Load]) -> Sequence[Load]:
    """The loads, without what was encoded where a column has no longer the type that it was encoded for.

    The server cannot tell: the eight bytes of a bigint are a double precision as well. The lock, which COPY takes too, keeps
    the types as they are until the transaction ends.
    """
    encoded = [load for load in loads if load.encoded is not None]
    if not encoded:
        return loads
    tables = ", ".join(qualified(load.target.name) for load in encoded)
    wanted = [
        f"({literal(qualified(load.target.name))}::regclass, {literal(name)}, {literal(load.types[name])})"
        for load in encoded
        for name in load.columns
    ]
    found = await transaction.execute(
        f"LOCK TABLE ONLY {tables} IN ROW EXCLUSIVE MODE; SELECT FROM pg_attribute WHERE NOT attisdropped "
        f"AND (attrelid, attname, format_type(atttypid, NULL)) IN ({', '.join(wanted)})"
    )
    return loads if found == len(wanted) else [replace(load, encoded=None) for load in loads]


async def copy(transaction: Transaction, target: tuple[str, str], load: Load) -> None:
    """COPY a load into a table; a Reject names the row, where the server or the encoder lets it be found."""
    try:
        for start in range(0, len(load.rows), ROWS_A_COPY):
            transaction.first_row = start
            if load.encoded is None:
                await transaction.copy(target, load.columns, load.rows[start : start + ROWS_A_COPY])
            else:
                part = load.encoded[start // BLOCK_ROWS : (start + ROWS_A_COPY) // BLOCK_ROWS]
                await transaction.copy_encoded(target, load.columns, part)
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError):
        values.find(transaction.table, load.columns, load.types, load.rows)
        raise
