"""Fault 27: the producer drifts, and every message is malformed."""

from __future__ import annotations

import signal

from faults.conftest import Sight
from kit.bed import scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed


async def test_all_malformed_halts_and_moves_nothing(make_bed: MakeBed, sight: Sight) -> None:
    """Past the threshold nothing becomes a dead letter any more until an operator says so, in the spec."""
    async with scene(make_bed(partitions=4)) as on:
        worker = on.bed.worker()
        await on.feed.send(400)
        await on.bed.stored(on.feed)
        for number in range(300):
            await on.feed.send_bad(b'{"v": 2, "chain": %d}' % number, partition=number % 4)
        await on.feed.send(40)
        status = await worker.until_state("halted")
        assert "messages were rejected" in status["reason"]
        assert "on_drift: continue" in status["hint"]
        stored = await on.bed.books.everything()
        assert len(stored.letters) < 10
        assert [] == await on.bed.violations(on.feed)

        worker.send(signal.SIGHUP)  # nothing was mended: it looks, and halts again
        await eventually(lambda: worker.log.count("halted:") >= 2)
        assert stored.letters == (await on.bed.books.everything()).letters
        assert await worker.stop() == 0

        on.bed.write_spec(on_drift="continue")
        on.bed.worker()
        await on.judge()
        letters = len((await on.bed.books.everything()).letters)
        assert letters == 300
        sight.note(letters_before_halt=len(stored.letters), reason=status["reason"][:70], letters_in_the_end=letters)
