"""Fault 26: malformed messages among good ones: exactly those are dead letters, and their neighbours are stored."""

from __future__ import annotations

import random

from faults.conftest import Sight
from kit.bed import Scene, scene
from kit.feed import BIG, DEAD
from kit.fixtures_bed import MakeBed
from kit.spoiled import spoiled, with_option

LIMIT = "ALTER TABLE plain_options ADD CONSTRAINT ltp_is_sane CHECK (ltp < 1e6)"


async def test_malformed_messages_alone_are_dead_letters(make_bed: MakeBed, sight: Sight, chance: random.Random) -> None:
    """Each way to spoil a message gives one dead letter with a reason of its own; all else is stored."""
    async with scene(make_bed(), big_every=10) as on:
        on.bed.worker()
        await on.feed.send(1000)  # one in a hundred is not drift
        reasons = {}
        for name, value in spoiled(_big(on), chance).items():
            partition, offset = await on.feed.send_bad(value, partition=chance.randrange(on.bed.partitions))
            reasons[name] = (partition, offset)
            await on.feed.send(chance.randrange(120, 160))
        await on.judge()
        told = {name: _reason(on, *place) for name, place in reasons.items()}
        assert [] == [name for name, reason in told.items() if not reason]
        sight.note(messages=on.feed.sent, dead_letters=len(told), snapshots=on.reader.snapshots)
        print("\n".join(f"  {name}: {reason}" for name, reason in told.items()))


async def test_row_that_the_database_refuses_takes_its_message_along(
    make_bed: MakeBed, sight: Sight, chance: random.Random
) -> None:
    """A row that passes the transforms and fails a check of the table: its message alone is a dead letter, with the row."""
    async with scene(make_bed(), big_every=10) as on:
        await on.bed.sql(LIMIT)
        await on.feed.send(300)
        row = chance.randrange(BIG)
        places = []
        for _ in range(3):
            # the good chain of that place is never sent
            places.append(await on.feed.send_bad(with_option(_big(on), row, ltp=2e6), partition=chance.randrange(4)))
            await on.feed.send(100)
        worker = on.bed.worker()
        await on.judge()
        found = {_letter(on, *place) for place in places}
        assert {f"POISON|23514|{row}"} == found
        sight.note(messages=on.feed.sent, rows_refused=f"{row} of {BIG}, in {len(places)} messages")
        assert "2000000" not in worker.log  # no row data at INFO
        assert DEAD == on.feed.expected[places[0]]


def _big(on: Scene) -> bytes:
    """A good chain of 500, as none was sent."""
    value, content = on.feed.chain(0, options=BIG)
    assert content.options == BIG
    return value


def _reason(on: Scene, partition: int, offset: int) -> str:
    return _sql(on, "reason", partition, offset)


def _letter(on: Scene, partition: int, offset: int) -> str:
    return _sql(on, "error_class || '|' || sqlstate || '|' || row_idx", partition, offset)


def _sql(on: Scene, what: str, partition: int, offset: int) -> str:
    return on.bed.database.sql(f'SELECT {what} FROM stockifyd.dead_letters WHERE partition = {partition} AND "offset" = {offset}')
