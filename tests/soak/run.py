"""`make soak`: faults of chance, one after another, under a steady feed; ends with a table and a picture."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from kit.oracles import Violations
from soak.chart import draw
from soak.faults import FAULTS, order
from soak.samples import Samples, halts
from soak.stage import Stage, stage
from soak.verdict import Outcome, Span, Struck

RATE = 30
BACKLOG = 30 * RATE
"""What the longest outage leaves: its batches are as large as any, so memory is compared with what it is after them."""
EVERY_SECS = 10.0
WARM_SECS = 20.0
QUIET_SECS = 60.0
HEAL_SECS = 90.0
STORED_SECS = 120.0
PLACE = Path(".cache") / "soak"


class Soak:
    """One run on a stage."""

    def __init__(self, on: Stage, samples: Samples, outcome: Outcome) -> None:
        self.on, self.samples, self.outcome = on, samples, outcome

    async def play(self, minutes: float) -> None:
        """Quiet, faults, quiet; then all must be stored, and nothing of it wrong."""
        feed = self.on.scene.feed
        await self.on.shared()
        await feed.send(BACKLOG)
        async with feed.flowing(RATE):
            await asyncio.sleep(WARM_SECS)
            self.outcome.first = await self._quiet()
            for number, name in enumerate(order(self.outcome.seed, round(minutes * 60 / EVERY_SECS))):
                began = self.samples.now
                await self._strike(number, name)
                if self._is_over():
                    return
                await asyncio.sleep(max(0.0, began + EVERY_SECS - self.samples.now))
            await self.on.shared(HEAL_SECS)
            await asyncio.sleep(WARM_SECS)
            self.outcome.last = await self._quiet()
        self.outcome.caught_up_secs = await self.on.bed.settled(feed, within_secs=STORED_SECS)
        self.outcome.violations += await self.on.bed.violations(feed)
        self.outcome.judge_flatness(self.samples.of("steadfast"))

    async def _quiet(self) -> Span:
        since = self.samples.now
        await asyncio.sleep(QUIET_SECS)
        return Span(since, self.samples.now)

    async def _strike(self, number: int, name: str) -> None:
        chance, since = random.Random(f"{self.outcome.seed}:{number}"), self.samples.now
        print(f"{since / 60:6.1f} min  {number + 1:>3}  {name}", flush=True)
        async with asyncio.timeout(HEAL_SECS):
            await FAULTS[name](self.on, chance)
        self.outcome.struck.append(Struck(name, Span(since, self.samples.now)))

    def _is_over(self) -> bool:
        """Whether there is nothing more to learn."""
        found: Violations = [*self.on.scene.reader.violations, *halts(self.samples.taken)]
        if not self.on.steadfast.alive:
            found.append(f"the steadfast worker ended with {self.on.steadfast.exit_code}")
        return bool(found)

    def conclude(self) -> None:
        """What is told whatever happened."""
        outcome, scene = self.outcome, self.on.scene
        outcome.violations += [*scene.reader.violations, *halts(self.samples.taken)]
        if not self.on.steadfast.alive:
            outcome.violations.append(f"the steadfast worker ended with {self.on.steadfast.exit_code}")
        outcome.messages, outcome.snapshots = scene.feed.sent, scene.reader.snapshots
        outcome.rows = sum(content.options + content.snapshots for content in scene.feed.expected.values())
        outcome.letters = sum(not content.options for content in scene.feed.expected.values())


async def soak(minutes: float, outcome: Outcome, folder: Path) -> Samples:
    """Set up, play, take down; what goes wrong on the way is a violation."""
    async with stage(folder, outcome.seed) as on:
        samples = Samples(on.workers)
        run = Soak(on, samples, outcome)
        async with samples.taking():
            try:
                await run.play(minutes)
            except (AssertionError, TimeoutError, RuntimeError) as error:
                outcome.violations.append(f"{type(error).__name__}: {error}")
            run.conclude()
        for name, worker in on.workers.items():
            (folder / f"{name}.log").write_text(worker.log)
    return samples


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=30.0, help="of faults; the quiet before and after come on top")
    asked.add_argument("--seed", type=int, default=None, help="to repeat a run")
    given = asked.parse_args()
    seed = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    outcome, began = Outcome(seed), time.monotonic()
    print(f"seed {seed}: repeat it with make soak MINUTES={given.minutes:g} SEED={seed}", flush=True)
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stockifyd-soak-") as name:
        samples = asyncio.run(soak(given.minutes, outcome, Path(name)))
        for log in Path(name).glob("*.log"):
            (PLACE / f"{seed}-{log.name}").write_text(log.read_text())
    samples.write(PLACE / f"{seed}.csv")
    draw(PLACE / f"{seed}.png", samples, outcome)
    print(f"\n{outcome.table(samples.of('steadfast'))}")
    print(f"drawn: {PLACE / f'{seed}.png'}; samples and logs beside it; {time.monotonic() - began:.0f} s")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
