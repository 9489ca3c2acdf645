"""Sinks with one fault each in `write`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, ClassVar

from stockifyd.api import Batch, Receipt, Row, Tables, Unavailable
from stockifyd.testing import MemorySink
from stockifyd.testing.memory import Commit
from unit.testing.catching import Faults


def changed(batch: Batch, rows: list[Row]) -> Batch:
    """The batch with other rows."""
    return batch.with_table("options", replace(batch.tables["options"], rows=rows))


class Forgets(MemorySink):
    """Loses the last row."""

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables["options"]
        short = replace(table, rows=table.rows[:-1], ends=[min(end, max(len(table.rows) - 1, 0)) for end in table.ends])
        return await super().write(batch.with_table("options", short))


class Miscounts(MemorySink):
    """Answers with one row too many."""

    async def write(self, batch: Batch) -> Receipt:
        return replace(await super().write(batch), rows=batch.row_count + 1)


class Swears(MemorySink):
    """Promises that it is idempotent, and is not."""

    idempotent = True


class Reverses(MemorySink):
    """Writes rows backwards, in the batch that others write too."""

    async def write(self, batch: Batch) -> Receipt:
        batch.tables["options"].rows.reverse()
        return await super().write(batch)


class WritesAhead(MemorySink):
    """Stores a batch when it is only to be prepared."""

    async def prepare(self, batch: Batch) -> None:
        await super().write(batch)


class WritesThePrepared(MemorySink):
    """Stores what was prepared last, whatever it is given."""

    prepared: Batch | None = None

    async def prepare(self, batch: Batch) -> None:
        self.prepared = batch

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(self.prepared or batch)


class NeedsMessages(MemorySink):
    """Looks at the first message to say where it is."""

    async def write(self, batch: Batch) -> Receipt:
        self.at = batch.messages[0].position.offset
        return await super().write(batch)


class NeedsRows(MemorySink):
    """Looks at the first row of each message."""

    async def write(self, batch: Batch) -> Receipt:
        for index in range(len(batch.messages)):
            self.last = batch.tables["options"].of_message(index)[0]
        return await super().write(batch)


class NeedsAll(MemorySink):
    """Thinks that no offset is ever missing."""

    async def write(self, batch: Batch) -> Receipt:
        first = batch.messages[0].position.offset if batch.messages else 0
        assert [m.position.offset for m in batch.messages] == list(range(first, first + len(batch.messages)))
        return await super().write(batch)


class BuffersUntilTheNext(MemorySink):
    """Answers before it stores: the rows of a write become durable with the next one."""

    waiting: Batch | None = None

    async def write(self, batch: Batch) -> Receipt:
        before, self.waiting = self.waiting, batch
        if before:
            await super().write(before)
        return Receipt(rows=batch.row_count)

    async def close(self) -> None:
        if self.waiting:
            await super().write(self.waiting)
            self.waiting = None


class Chunks(MemorySink):
    """Stores a thousand rows at most."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(changed(batch, batch.tables["options"].rows[:1000]))


class Bends(MemorySink):
    """Stores an empty text where there is none."""

    async def write(self, batch: Batch) -> Receipt:
        rows = [tuple("" if value is None else value for value in row) for row in batch.tables["options"].rows]
        return await super().write(changed(batch, rows))


class ChokesOnText(MemorySink):
    """Lets an error of an encoder out."""

    async def write(self, batch: Batch) -> Receipt:
        for row in batch.tables["options"].rows:
            str(row[1]).encode()
        return await super().write(batch)


class Shares(MemorySink):
    """Has one connection for all of its kind."""

    users: ClassVar[list[int]] = []

    async def open(self) -> None:
        await super().open()
        self.users[:] = [1]

    async def write(self, batch: Batch) -> Receipt:
        assert self.users, "the connection is closed"
        return await super().write(batch)

    async def close(self) -> None:
        self.users.clear()


class WritesAllTables(MemorySink):
    """Says which table it wants, and writes all."""

    def wants(self) -> Tables:
        return {"options": ()}

    async def write(self, batch: Batch) -> Receipt:
        for table in batch.tables.values():
            for _number, _text in table.rows:
                pass
        return await super().write(batch)


class WantsAnother(MemorySink):
    """Wants a table that it does not write."""

    def wants(self) -> Tables:
        return {"another": ()}


class KeepsHalf(MemorySink):
    """Stores what came before the bad row, and says Reject."""

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables["options"]
        bad = [n for n, row in enumerate(table.rows) if row[0] == -1]
        if bad:
            self.store.commit(Commit(batch.keep(range(table.message_of(bad[0])))))
        return await super().write(batch)


class RemembersTooSoon(MemorySink):
    """Thinks that what it began to write is written."""

    async def write(self, batch: Batch) -> Receipt:
        seen = vars(self.store).setdefault("seen", set())
        if batch.messages and batch.messages[0].position in seen:
            return Receipt()
        seen |= {message.position for message in batch.messages}
        await asyncio.sleep(0)
        return await super().write(batch)


class Spawns(MemorySink):
    """Hands a batch to a task and does not wait for it."""

    tasks: ClassVar[set[Any]] = set()

    async def write(self, batch: Batch) -> Receipt:
        task = asyncio.ensure_future(super().write(batch))
        self.tasks.add(task)
        return Receipt(rows=batch.row_count)


class GivesUp(MemorySink):
    """Takes the third failure for a success."""

    failed = 0

    async def write(self, batch: Batch) -> Receipt:
        try:
            return await super().write(batch)
        except Unavailable:
            self.failed += 1
            if self.failed < 3:
                raise
            return Receipt()


class Loses(MemorySink):
    """Throws a batch away when it could not be written, and takes its return for done."""

    given_up: Batch | None = None

    async def write(self, batch: Batch) -> Receipt:
        if batch is self.given_up:
            return Receipt(rows=batch.row_count)
        try:
            return await super().write(batch)
        except Unavailable:
            self.given_up = batch
            raise


class StaysAway(MemorySink):
    """Once its far side was away, it is away for this object for ever."""

    gone = False

    async def write(self, batch: Batch) -> Receipt:
        try:
            if self.gone:
                raise Unavailable("no connection")
            return await super().write(batch)
        except Unavailable:
            self.gone = True
            raise


class WillNotStop(MemorySink):
    """Tries for ever by itself, whoever cancels it."""

    async def write(self, batch: Batch) -> Receipt:
        for _ in range(30):
            try:
                return await super().write(batch)
            except Unavailable:
                try:
                    await asyncio.sleep(0.1)
                except asyncio.CancelledError:
                    continue
        return Receipt()


FAULTS: Faults = [
    (Forgets, "the_whole_batch_is_accounted_for what_is_written_stays order_is_kept"),
    (Miscounts, "the_receipt_counts_rows an_empty_batch"),
    (Swears, "writing_twice cancelled_while_writing killed_while_writing"),
    (Reverses, "order_is_kept the_batch_is_left_as_it_was"),
    (WritesAhead, "what_is_prepared_is_not_written"),
    (WritesThePrepared, "what_is_prepared_is_not_written"),
    (NeedsMessages, "an_empty_batch nothing_but_dead_letters"),
    (NeedsRows, "messages_without_rows"),
    (NeedsAll, "a_batch_with_dead_letters"),
    (BuffersUntilTheNext, "durable_when_write_returns killed_while_writing"),
    (Chunks, "a_big_batch"),
    (Bends, "extreme_values"),
    (ChokesOnText, "extreme_values"),
    (Shares, "lanes"),
    (WritesAllTables, "tables_that_are_not_wanted"),
    (WantsAnother, "wanted_tables_are_told_without_opening"),
    (KeepsHalf, "a_bad_row"),
    (RemembersTooSoon, "cancelled_while_writing killed_while_writing"),
    (Spawns, "a_slow_far_side durable_when_write_returns"),
    (GivesUp, "a_far_side_that_is_away_for_long"),
    (Loses, "a_far_side_that_breaks_while_open"),
    (StaysAway, "a_far_side_that_breaks_while_open a_far_side_that_is_away_for_long"),
    (WillNotStop, "cancelled_while_the_far_side_is_away"),
]
