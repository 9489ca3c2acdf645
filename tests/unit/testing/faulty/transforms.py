"""Transforms with one fault each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from stockifyd.api import Batch, Config, Tables, Transform
from stockifyd.testing import COLUMNS
from unit.testing.catching import Faults


class NoOptions(Config, frozen=True):
    """None."""


class Rows(Transform[NoOptions]):
    """Sound."""

    type = "rows"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(m.position.offset, m.raw)])


class Counts(Rows):
    """Numbers rows by what it saw before."""

    seen: ClassVar[int] = 0

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        rows = [(n + self.seen, row[1]) for n, row in enumerate(made.tables["options"].rows)]
        Counts.seen += len(rows)
        return made.with_table("options", replace(made.tables["options"], rows=rows))


class CountsAlone(Rows):
    """Numbers rows by what it saw before, each for itself."""

    seen = 0

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        rows = [(n + self.seen, row[1]) for n, row in enumerate(made.tables["options"].rows)]
        self.seen += len(rows)
        return made.with_table("options", replace(made.tables["options"], rows=rows))


class KnowsItsPlace(Rows):
    """Puts in what only this process has."""

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(hash(m.raw), os.environ.get("TZ"))])


class RemembersHalf(Rows):
    """Leaves out what it began with before it was cancelled."""

    async def apply(self, batch: Batch) -> Batch:  # type: ignore[override]
        begun = vars(self).setdefault("begun", set())
        left = [n for n, message in enumerate(batch.messages) if message.position not in begun]
        begun |= {message.position for message in batch.messages}
        await asyncio.sleep(0)
        begun.clear()
        return super().apply(batch.keep(left))


class Drops(Rows):
    """Loses a message without a word."""

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch).keep(range(max(len(batch.messages) - 1, 0)))


class Misaligned(Rows):
    """Takes messages, and leaves their rows."""

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        return replace(made, tables={"options": replace(made.tables["options"], ends=[])})


class Lies(Rows):
    """Foretells other columns."""

    def tables(self, before: Tables) -> Tables:
        return {"options": ("a",)}


class Raises(Rows):
    """Cannot read what is not text."""

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(m.position.offset, m.raw.decode())])


class Moves(Rows):
    """Forgets how far the batch goes."""

    def apply(self, batch: Batch) -> Batch:
        return replace(super().apply(batch), advance={}, rejected=())


class Silent(Rows):
    """Makes no table of nothing."""

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch) if batch.messages else batch


class Strips(Rows):
    """Leaves the key behind."""

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        bare = tuple(type(m)(m.position, m.raw, m.value) for m in made.messages)
        return replace(made, messages=bare)


class WritesIntoIt(Rows):
    """Changes a value in place."""

    def apply(self, batch: Batch) -> Batch:
        for message in batch.messages:
            message.value["seen"] = True
        return super().apply(batch)


class RehearsesAnother(Rows):
    """Leaves out, when it is told what is outside, what it leaves in by itself."""

    rows: Sequence[Mapping[str, Any]] | None = None

    def rehearse(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch if self.rows is None else batch.keep([]))


FAULTS: Faults = [
    (Counts, "the_same_again how_messages_are_batched_does_not_matter lanes"),
    (CountsAlone, "the_same_again_after_a_rewind"),
    (KnowsItsPlace, "the_same_elsewhere"),
    (RemembersHalf, "cancelled_while_transforming"),
    (Drops, "every_message_is_accounted_for"),
    (Misaligned, "tables_are_well_formed"),
    (Lies, "tables_are_foretold"),
    (Raises, "garbage_is_rejected_alone"),
    (Moves, "rejected_before_and_advance_stay"),
    (Silent, "an_empty_batch"),
    (Strips, "what_is_known_of_a_message_stays"),
    (RehearsesAnother, "a_rehearsal_is_like_the_real_thing"),
    (WritesIntoIt, "the_input_is_left_as_it_was"),
]
