"""Rows whose key is already there: COPY into a temporary table, then INSERT ... ON CONFLICT."""

from __future__ import annotations

from collections.abc import Sequence

from stockifyd_postgres import wire
from stockifyd_postgres.catalogue import Target
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.loads import Load
from stockifyd_postgres.names import listed, qualified, quote
from stockifyd_postgres.options import OnConflict

STAGED_BATCHES = 100
"""After a conflict this many more batches are staged: in a replay every straight COPY would fail first."""


async def merge(transaction: Transaction, load: Load) -> int:
    """Write a load by way of a temporary table that ends with the transaction; answers with how many rows took effect."""
    target, columns = load.target, load.columns
    stage = f"stockifyd_stage_{target.name[1]}"[:63]
    await transaction.execute(
        f"CREATE TEMP TABLE {quote(stage)} ON COMMIT DROP AS SELECT {listed(columns)} FROM {qualified(target.name)} WITH NO DATA"  # noqa: S608
    )
    await wire.copy(transaction, ("pg_temp", stage), load)
    return await transaction.execute(statement(target, columns, stage=stage, on_conflict=load.options.on_conflict))


def statement(target: Target, columns: Sequence[str], *, stage: str, on_conflict: OnConflict) -> str:
    """INSERT ... SELECT, sorted by key: two writers lock in one order.

    Of equal keys in one batch `ignore` keeps the first, `update` the last.
    """
    key, latest = listed(target.key), "DESC" if on_conflict == "update" else "ASC"
    changed = [name for name in columns if name not in target.key]
    setting = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in changed)
    action = f"UPDATE SET {setting}" if on_conflict == "update" and changed else "NOTHING"
    return (
        f"INSERT INTO {qualified(target.name)} ({listed(columns)}) "  # noqa: S608 - quoted, and checked against the catalogue
        f"SELECT DISTINCT ON ({key}) {listed(columns)} FROM pg_temp.{quote(stage)} "
        f"ORDER BY {key}, ctid {latest} ON CONFLICT ({key}) DO {action}"
    )
