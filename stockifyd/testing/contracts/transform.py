"""What holds of every transform: it may be asked again, and nobody can tell."""
# ruff: noqa: S311, SIM300  # the same garbage each time; what is expected stands first in an assert

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import pytest

from stockifyd.api import Batch, Message, Table, Tables, Transform
from stockifyd.testing import faults
from stockifyd.testing.contracts.component import CUTS, ComponentContract
from stockifyd.testing.facts import fact, settle

T = TypeVar("T", bound=Transform[Any])

MUTATIONS = 200


class TransformContract(ComponentContract[T]):
    """Subclass it: `transform = Moneyness`, `options(tmp_path)`, `batch()`; the rest has defaults."""

    transform: type[T]

    def batch(self) -> Batch:
        """Two messages or more that the transform takes, as they reach it: raw, or with values, or with tables."""
        raise NotImplementedError

    def garbage(self) -> Sequence[Message]:
        """Messages as bad as they come. By default the batch's own bytes, mangled, where its messages have no value yet."""
        return _mangled(self.batch().messages)

    def outside(self) -> Sequence[Mapping[str, Any]]:
        """All that is outside, as a test file of a pipeline would say it; for a transform that overrides `rehearse`."""
        pytest.skip(f"{type(self).__name__} gives no outside")

    def kind(self) -> type[T]:
        return self.transform

    def tables(self) -> Tables:
        return {name: table.columns for name, table in self.batch().tables.items()}

    async def use(self, component: T) -> None:
        await settle(component.apply(self.batch()))

    async def applied(self, tmp_path: Path, *batches: Batch) -> list[Batch]:
        """What a fresh transform makes of batches, one after another."""
        async with self.opened(tmp_path) as transform:
            return [await settle(transform.apply(batch)) for batch in batches]

    @fact
    async def test_the_same_again(self, tmp_path: Path) -> None:
        """After a crash the same batch gives the same result."""
        assert await self.applied(tmp_path, self.batch()) == await self.applied(tmp_path, self.batch())

    @fact
    async def test_the_same_elsewhere(self, tmp_path: Path) -> None:
        """Another process, with another hash seed and in another time zone, gives the same result: a replay may run anywhere."""
        life = self.life(tmp_path)
        if not faults.is_importable(life.kind):
            pytest.skip(f"{life.kind.__name__} cannot be imported by another process")
        assert repr(await self.applied(tmp_path, self.batch())) == repr(await faults.applied_elsewhere(life, [self.batch()]))

    @fact
    async def test_cancelled_while_transforming(self, tmp_path: Path) -> None:
        """A transform that waits can be cancelled; asked again, the same object gives the result it always gave."""
        [expected] = await self.applied(tmp_path, self.batch())
        async with self.opened(tmp_path) as transform:
            for point in faults.points(CUTS):
                was_cut = await faults.cancelled_at(point, _apply(transform, self.batch()))
                assert expected == await settle(transform.apply(self.batch()))
                if not was_cut:
                    break

    @fact
    async def test_the_same_again_after_a_rewind(self, tmp_path: Path) -> None:
        """The same messages come to the same object again, and are what they were: what it remembers changes nothing."""
        first, second = await self.applied(tmp_path, self.batch(), self.batch())
        assert first == second

    @fact
    async def test_lanes(self, tmp_path: Path) -> None:
        """Two of a kind work side by side and know nothing of each other: what one has seen changes nothing for the other."""
        [expected] = await self.applied(tmp_path, self.batch())
        async with self.opened(tmp_path) as one, self.opened(tmp_path) as other:
            assert [expected] * 2 == [await settle(each.apply(self.batch())) for each in (one, other)]

    @fact
    async def test_the_input_is_left_as_it_was(self, tmp_path: Path) -> None:
        """A batch that was transformed is what it was before: values, tables and all."""
        batch = self.batch()
        before = deepcopy(batch)
        await self.applied(tmp_path, batch)
        assert before == batch

    @fact
    async def test_tables_are_foretold(self, tmp_path: Path) -> None:
        """`tables`, where it answers, names what `apply` leaves, with the columns in order."""
        [after] = await self.applied(tmp_path, self.batch())
        foretold = self.make(tmp_path).tables(self.tables())
        if foretold is None:
            pytest.skip("the transform cannot tell its tables beforehand")
        assert {n: tuple(c) for n, c in foretold.items()} == {n: tuple(t.columns) for n, t in after.tables.items()}

    @fact
    async def test_a_rehearsal_is_like_the_real_thing(self, tmp_path: Path) -> None:
        """Told what is outside, and never opened, the transform gives what it gives when it asks there itself.

        Why it rejects a message it may say in other words.
        """
        rows = self.outside()
        [expected] = await self.applied(tmp_path, self.batch())
        transform = self.make(tmp_path)
        try:
            transform.rehearse(rows)
            told = await settle(transform.apply(self.batch()))
        finally:
            await transform.close()
        assert (expected.messages, expected.tables, expected.advance) == (told.messages, told.tables, told.advance)
        assert [letter.message for letter in expected.rejected] == [letter.message for letter in told.rejected]

    @fact
    async def test_every_message_is_accounted_for(self, tmp_path: Path) -> None:
        """Each message goes on or is rejected, once, and in the order it came."""
        batch = self.batch()
        [after] = await self.applied(tmp_path, batch)
        kept, refused = _positions(after.messages), _positions([letter.message for letter in after.rejected])
        assert sorted(_positions(batch.messages)) == sorted(kept + refused)
        assert [p for p in _positions(batch.messages) if p in kept] == kept

    @fact
    async def test_tables_are_well_formed(self, tmp_path: Path) -> None:
        """Each table has an end for every message, in rising order, and rows as wide as its columns."""
        [after] = await self.applied(tmp_path, self.batch())
        assert [] == [fault for name, table in after.tables.items() for fault in _faults(name, table, len(after.messages))]

    @fact
    async def test_what_is_known_of_a_message_stays(self, tmp_path: Path) -> None:
        """Raw bytes, key, time and headers go on as they came: dead letters keep them."""
        batch = self.batch()
        [after] = await self.applied(tmp_path, batch)
        came = {message.position: msgspec.structs.replace(message, value=None) for message in batch.messages}
        assert [came[message.position] for message in after.messages] == [
            msgspec.structs.replace(m, value=None) for m in after.messages
        ]

    @fact
    async def test_rejected_before_and_advance_stay(self, tmp_path: Path) -> None:
        """Dead letters of earlier transforms and the advance go through untouched."""
        batch = self.batch().reject({0: "rejected before"})
        [after] = await self.applied(tmp_path, batch)
        assert (batch.rejected, batch.advance) == (after.rejected[:1], after.advance)

    @fact
    async def test_an_empty_batch(self, tmp_path: Path) -> None:
        """A batch without messages gives none, and the same tables without rows."""
        full, empty = await self.applied(tmp_path, self.batch(), self.batch().keep([]))
        assert (0, 0, list(full.tables)) == (len(empty.messages), empty.row_count, list(empty.tables))

    @fact
    async def test_how_messages_are_batched_does_not_matter(self, tmp_path: Path) -> None:
        """After a crash batches are cut elsewhere: two halves give the rows and dead letters of the whole."""
        batch = self.batch()
        middle, end = len(batch.messages) // 2, len(batch.messages)
        [whole] = await self.applied(tmp_path, batch)
        left, right = await self.applied(tmp_path, batch.keep(range(middle)), batch.keep(range(middle, end)))
        assert (whole.messages, whole.rejected) == (left.messages + right.messages, left.rejected + right.rejected)
        assert {n: t.rows for n, t in whole.tables.items()} == {n: t.rows + right.tables[n].rows for n, t in left.tables.items()}

    @fact
    async def test_garbage_is_rejected_alone(self, tmp_path: Path) -> None:
        """Whatever a message holds, `apply` raises nothing, and a message rejected takes no neighbour with it."""
        garbage, good = list(self.garbage()), self.batch()
        if not garbage:
            pytest.skip(f"messages have values already, and {type(self).__name__} gives no garbage")
        [alone] = await self.applied(tmp_path, good)
        for bad in garbage:
            [after] = await self.applied(tmp_path, replace(good, messages=(*good.messages, bad), tables=_longer(good)))
            survivors = [m for m in after.messages if m.position != bad.position]
            assert list(alone.messages) == survivors, f"a neighbour suffered from {bad.raw!r}"
            assert [] == [fault for name, table in after.tables.items() for fault in _faults(name, table, len(after.messages))]


async def _apply(transform: Transform[Any], batch: Batch) -> Batch:
    return await settle(transform.apply(batch))


def _positions(messages: Sequence[Message]) -> list[tuple[Any, int]]:
    return [(message.position.partition, message.position.offset) for message in messages]


def _faults(name: str, table: Table, messages: int) -> list[str]:
    ends = [0, *table.ends]
    wide = {len(row) for row in table.rows} - {len(table.columns)}
    return [
        f"{name}: {said}"
        for said, wrong in (
            (f"{len(table.ends)} ends for {messages} messages", len(table.ends) != messages),
            (f"ends fall: {table.ends}", any(a > b for a, b in pairwise(ends))),
            (f"{len(table.rows)} rows, but the last end is {ends[-1]}", ends[-1] != len(table.rows)),
            (f"rows of {sorted(wide)} values for {len(table.columns)} columns", bool(wide)),
        )
        if wrong
    ]


def _longer(batch: Batch) -> dict[str, Table]:
    return {n: replace(t, ends=[*t.ends, len(t.rows)]) for n, t in batch.tables.items()}


def _mangled(messages: Sequence[Message]) -> list[Message]:
    """The same 200 each time: cut short, bytes changed, bytes put in, and the classics."""
    if not messages or any(message.value is not None for message in messages):
        return []
    random, last = Random(20240620), messages[-1].position
    classics = [b"", b"null", b"[]", b"{}", b"7", b"\x00", b"\xff\xfe", b'{"a":', b"NaN", b'"\\ud800"', b"[" * 5000, b"9" * 400]
    bodies = classics + [_mangle(random, messages[n % len(messages)].raw) for n in range(MUTATIONS)]
    return [Message(last._replace(offset=last.offset + 1), body) for body in bodies]


def _mangle(random: Random, raw: bytes) -> bytes:
    at = random.randrange(len(raw) + 1)
    return random.choice(
        (raw[:at], raw[:at] + random.randbytes(3) + raw[at + 3 :], raw[:at] + random.choice(b'"{}[],:0-').to_bytes() + raw[at:])
    )
