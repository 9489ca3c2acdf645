"""The proof: what was sent against what is stored, message for message, and the ledger against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from stockifyd_demo.checksum import sql
from stockifyd_demo.feed import TOPIC, Identity, Sent

AUDIT = """
CREATE TABLE public.demo_moves (
  n bigint GENERATED ALWAYS AS IDENTITY, partition int NOT NULL, from_offset bigint NOT NULL, to_offset bigint NOT NULL
);
CREATE FUNCTION public.demo_note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.demo_moves (partition, from_offset, to_offset) VALUES (OLD.partition, OLD.next_offset, NEW.next_offset);
  RETURN NULL;
END $$;
CREATE TRIGGER demo_audit AFTER UPDATE OF next_offset ON stockifyd.offsets
  FOR EACH ROW WHEN (OLD.next_offset <> NEW.next_offset) EXECUTE FUNCTION public.demo_note_move();
"""
"""Notes each move of the ledger. The tables have keys, which would hide that a row came twice: the moves would show it."""

CHAINS = f"""SELECT symbol_id, expiry, "timestamp", count(*) AS rows, {sql()} AS checksum
FROM option_contracts GROUP BY 1, 2, 3"""  # noqa: S608  constants

MESSAGES = "SELECT coalesce(sum(next_offset), 0)::bigint AS messages FROM stockifyd.offsets WHERE topic = $1"
BOTH = MESSAGES.replace(" FROM", ", (SELECT count(*) FROM option_contracts) AS rows FROM")


class Move(NamedTuple):
    """One commit of a partition's offset."""

    partition: int
    from_offset: int
    to_offset: int


class Progress(NamedTuple):
    """What is stored, in one snapshot: messages by the ledger, rows by the table."""

    messages: int
    rows: int


class Proof(NamedTuple):
    """What was found; no `differences` means that all is stored exactly once."""

    messages: int
    rows: int
    moves: int
    differences: list[str]


async def audit(connection: asyncpg.Connection) -> None:
    """Begin to note the ledger's moves; before the first of them."""
    await connection.execute(AUDIT)


async def stored(connection: asyncpg.Connection) -> int:
    """How far the ledger is; cheap."""
    return int(await connection.fetchval(MESSAGES, TOPIC))


async def progress(connection: asyncpg.Connection) -> Progress:
    """How far the ledger and the table are."""
    messages, rows = (await connection.fetch(BOTH, TOPIC))[0]
    return Progress(messages, rows)


async def prove(connection: asyncpg.Connection, sent: Sequence[Sent]) -> Proof:
    """Compare in one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL work_mem = '256MB'")
        chains = {(r[0], r[1], r[2]): (r[3], bytes(r[4])) for r in await connection.fetch(CHAINS)}
        snapshots = await connection.fetchval("SELECT count(*) FROM market_snapshots")
        moves = [Move(*r) for r in await connection.fetch("SELECT partition, from_offset, to_offset FROM demo_moves ORDER BY n")]
        refused = await connection.fetchval("SELECT count(*) FROM stockifyd.dead_letters")
        gaps = await connection.fetchval("SELECT count(*) FROM stockifyd.gaps")
    differences = [*of_chains(sent, chains), *of_moves(sent, moves)]
    if snapshots != len(sent):
        differences.append(f"market_snapshots has {snapshots} rows, not {len(sent)}")
    differences += [f"{count} {what} in the ledger" for count, what in ((refused, "dead letters"), (gaps, "gaps")) if count]
    return Proof(len(chains), sum(rows for rows, _ in chains.values()), len(moves), differences)


def of_chains(sent: Iterable[Sent], stored: Mapping[Identity, tuple[int, bytes]]) -> Iterator[str]:
    """Every message's rows are there, all of them, as they were sent; and no others."""
    expected = {one.identity: one for one in sent}
    for identity, one in expected.items():
        rows, found = stored.get(identity, (0, b""))
        if rows != one.rows:
            yield f"{_named(one)}: {rows} of {one.rows} rows are stored"
        elif found != one.checksum:
            yield f"{_named(one)}: its rows are not those that were sent"
    for identity in stored.keys() - expected:
        yield f"{stored[identity][0]} rows of a chain that nobody sent: {identity}"


def of_moves(sent: Iterable[Sent], moves: Iterable[Move]) -> Iterator[str]:
    """Each partition's offset went from 0 to its end, each commit from where the last one had ended."""
    ends, at = Counter[int](), Counter[int]()
    for one in sent:
        ends[one.partition] = max(ends[one.partition], one.offset + 1)
    for partition, from_offset, to_offset in moves:
        if from_offset != at[partition]:
            yield f"partition {partition}: a commit went from {from_offset} to {to_offset}; the last had ended at {at[partition]}"
        at[partition] = to_offset
    for partition in sorted({*ends, *at}):
        if at[partition] != ends[partition]:
            yield f"partition {partition}: the ledger is at {at[partition]}, and the topic ends at {ends[partition]}"


def _named(one: Sent) -> str:
    _, expiry, at = one.identity
    return f"partition {one.partition} offset {one.offset} ({one.symbol}, expiry {expiry}, {at:%Y-%m-%d %H:%M:%S})"
