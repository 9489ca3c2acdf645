"""Fault 29: a column dropped, a type changed, a right revoked while the pipeline runs."""

from __future__ import annotations

import asyncio
import signal

import pytest

from faults.conftest import Sight, long_form
from kit.bed import scene
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import WRITER

CASES = {
    "column dropped": (
        "ALTER TABLE plain_options DROP COLUMN rho",
        "ALTER TABLE plain_options ADD COLUMN rho double precision",
        "rho",
    ),
    "type changed": (
        "ALTER TABLE plain_options ALTER COLUMN oi TYPE text",
        "ALTER TABLE plain_options ALTER COLUMN oi TYPE bigint USING oi::bigint",
        "plain_options",
    ),
    "right revoked": (
        f"REVOKE INSERT ON plain_options FROM {WRITER}",
        f"GRANT INSERT ON plain_options TO {WRITER}",
        "plain_options",
    ),
    "ledger's right revoked": (
        f"REVOKE UPDATE ON stockifyd.offsets FROM {WRITER}",
        f"GRANT UPDATE ON stockifyd.offsets TO {WRITER}",
        "offsets",
    ),
    "table dropped": (
        "ALTER TABLE plain_snapshots RENAME TO put_away",
        "ALTER TABLE put_away RENAME TO plain_snapshots",
        "plain_snapshots",
    ),
}
SHORT = ("column dropped", "type changed", "right revoked")


@pytest.mark.parametrize("case", [*SHORT, *(pytest.param(case, marks=long_form) for case in CASES if case not in SHORT)])
async def test_changed_table_halts_and_resumes(make_bed: MakeBed, sight: Sight, case: str) -> None:
    """Halted with what changed named, no dead letter, no offset moved; after the fix SIGHUP goes on with all of it."""
    harm, fix, named = CASES[case]
    async with scene(make_bed(partitions=4)) as on:
        worker = on.bed.worker()
        async with on.feed.flowing(60):
            await worker.until(lambda status: status["messages_delivered"] > 30)
            async with on.reader.looking_away():
                await on.bed.sql(harm)
            status = await worker.until_state("halted")
            await asyncio.sleep(0.5)
        assert named in status["reason"]
        assert status["hint"]
        if case != "type changed":  # a text column takes no number: that is found row by row, not at the start
            worker.send(signal.SIGHUP)  # too early: it halts again, before anything is read
            await worker.until_said("resumed by the operator")
            again = await worker.until_state("halted")
            assert named in again["reason"]
        async with on.reader.looking_away():
            await on.bed.sql(fix)
        worker.send(signal.SIGHUP)
        await on.judge()
        assert {} == (await on.bed.books.everything()).letters
        sight.note(reason=status["reason"][:90], messages=on.feed.sent)
