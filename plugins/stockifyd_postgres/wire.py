"""The only way of rows into COPY: as `encoding` has made them, else by asyncpg's encoder."""

from __future__ import annotations

from stockifyd_postgres import values
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.encoding import BLOCK_ROWS
from stockifyd_postgres.loads import Load
from stockifyd_postgres.names import literal, qualified

ROWS_A_COPY = 20 * BLOCK_ROWS
"""At most this many rows a COPY: asyncpg encodes them without giving way to the event loop."""


async def copy(transaction: Transaction, target: tuple[str, str], load: Load) -> None:
    """COPY a load into a table; a Reject names the row, where the server or the encoder lets it be found."""
    blocks = load.encoded
    if blocks is not None and not await _fits(transaction, target, load):
        blocks = None
    try:
        for start in range(0, len(load.rows), ROWS_A_COPY):
            transaction.first_row = start
            if blocks is None:
                await transaction.copy(target, load.columns, load.rows[start : start + ROWS_A_COPY])
            else:
                part = blocks[start // BLOCK_ROWS : (start + ROWS_A_COPY) // BLOCK_ROWS]
                await transaction.copy_encoded(target, load.columns, part)
    except (TypeError, ValueError, OverflowError, AttributeError, IndexError):
        values.find(transaction.table, load.columns, load.types, load.rows)
        raise


async def _fits(transaction: Transaction, target: tuple[str, str], load: Load) -> bool:
    """Whether the columns still have the types that the rows were encoded for. The lock, which COPY takes too, keeps it so.

    The server cannot tell: the eight bytes of a bigint are a double precision as well.
    """
    types, table = load.types, qualified(target)
    wanted = ", ".join(f"({literal(name)}, {literal(types[name])})" for name in load.columns)
    found = await transaction.execute(
        f"LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE; "
        f"SELECT FROM pg_attribute WHERE attrelid = {literal(table)}::regclass AND NOT attisdropped "
        f"AND (attname, format_type(atttypid, NULL)) IN ({wanted})"
    )
    return found == len(load.columns)
