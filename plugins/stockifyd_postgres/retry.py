"""Dead letters tried again: through the pipeline's transforms, then rows and the letter's end in one transaction."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stockifyd.api import Batch, Components, DeadLetter, Reject, Retry, Transform
from stockifyd_postgres.mailbox import Letter, refuse_again
from stockifyd_postgres.sink import Postgres

TRIES = 3


@dataclass(slots=True)
class Outcome:
    """What became of the dead letters tried."""

    stored: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    rows: int = 0

    def lines(self) -> list[str]:
        """For a terminal."""
        counts = f"{len(self.stored) + len(self.refused)} tried: {len(self.stored)} stored ({self.rows} rows)"
        return [*(f"{name}: {reason}" for name, reason in self.refused.items()), f"{counts}, {len(self.refused)} refused again"]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"stored": self.stored, "refused": self.refused, "rows": self.rows}


async def retry(components: Components, sink: Postgres, found: Sequence[Letter]) -> Outcome:
    """Try each letter by itself. What is not about a letter (the database away, a table gone) is raised."""
    outcome = Outcome()
    opened: list[Transform[Any]] = []
    try:
        await sink.open()
        for transform in components.transforms:
            opened.append(transform)
            await transform.open()
        for letter in found:
            await _try(components, sink, letter, outcome=outcome)
    finally:
        for transform in reversed(opened):
            await transform.close()
        await sink.close()
    return outcome


async def _try(components: Components, sink: Postgres, letter: Letter, *, outcome: Outcome) -> None:
    try:
        batch = await transformed(components, letter)
        if batch.rejected:
            await _keep(sink, letter, batch.rejected[0], outcome=outcome)
            return
        outcome.rows += await _redeliver(sink, batch, letter)
    except Reject as why:
        refused = DeadLetter(letter.message, why.reason, sink.context.name, why.code)
        await _keep(sink, letter, refused, outcome=outcome)
    else:
        outcome.stored.append(letter.name)


async def transformed(components: Components, letter: Letter) -> Batch:
    """The letter's message as a batch of one, through all transforms in order."""
    batch = Batch((letter.message,))
    for transform in components.transforms:
        made = transform.apply(batch)
        batch = await made if inspect.isawaitable(made) else made
    return batch


async def _redeliver(sink: Postgres, batch: Batch, letter: Letter) -> int:
    for tries_left in reversed(range(TRIES)):
        try:
            return (await sink.store.redeliver(batch, letter.message)).rows
        except Retry:
            if not tries_left:
                raise
    return 0


async def _keep(sink: Postgres, letter: Letter, refused: DeadLetter, *, outcome: Outcome) -> None:
    await refuse_again(sink, letter, reason=refused.reason, stage=refused.stage, sqlstate=refused.code)
    outcome.refused[letter.name] = refused.reason
