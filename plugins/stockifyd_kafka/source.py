"""The Kafka source: reads only what is claimed, and never keeps the group waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from stockifyd.api import Claims, Context, Drift, Message, Partition, Source, StockifydError
from stockifyd_kafka.assignment import Pause
from stockifyd_kafka.options import KafkaOptions
from stockifyd_kafka.watch import Seen, Verdict, Watch

if TYPE_CHECKING:  # imported when the source works: `stockifyd validate` imports this module, and aiokafka takes its time
    from aiokafka import TopicPartition

    from stockifyd_kafka.keeper import Keeper
    from stockifyd_kafka.member import Action, Fetched, Member

TURN_SECS = 0.9
TICK_SECS = 0.5
TRIES = 5


@dataclass(frozen=True, slots=True)
class _Fetch:
    """A fetch under way: for which generation of the machine, and by which member."""

    generation: int
    member: Member
    task: asyncio.Task[Fetched]


class Kafka(Source[KafkaOptions]):
    """Reads topics as a member of a consumer group, from the offsets that the sinks have stored."""

    type = "kafka"

    def __init__(self, config: KafkaOptions, context: Context) -> None:
        super().__init__(config, context)
        self._keeper: Keeper | None = None
        self._fetch: _Fetch | None = None
        self._watch: Watch[TopicPartition] = Watch(config.stall_secs)
        self._advanced: dict[TopicPartition, int] = {}
        self._failures = 0
        self._ticked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def consumer(self) -> str:
        """The group."""
        return self.config.group

    @classmethod
    def between(cls, config: KafkaOptions, start: datetime, end: datetime, consumer: str) -> KafkaOptions:
        """As a group of its own."""
        return msgspec.structs.replace(config, group=consumer, start=start.isoformat(), end=end.isoformat())

    @property
    def _kept(self) -> Keeper:
        if self._keeper is None:
            from stockifyd_kafka.keeper import Keeper  # noqa: PLC0415  see above

            self._keeper = Keeper(self.config, self.context.log, self.context.instance_id)
        return self._keeper

    async def open(self) -> None:
        """Connect and join the group. Unavailable where no broker answers; Drift for a wrong password or an unknown topic."""
        if (self.config.end_ms or 0) > self.context.now().timestamp() * 1000:
            raise Drift(f"`end` is {self.config.end}, in the future: messages may still come", hint="read what is past")
        await self._kept.open()
        self.context.log.info("✓ Kafka consumer started with group '%s'", self.config.group)

    async def close(self) -> None:
        """Leave the group, so that its other members have our partitions at once."""
        if self._timer is not None:
            self._timer.cancel()
        if self._keeper is not None:
            await self._keeper.close()
        if self._fetch is not None:
            self._fetch.task.cancel()  # nobody wants it now
            await asyncio.wait({self._fetch.task})
            self._fetch = None

    async def probe(self) -> Sequence[str]:
        """Whether the brokers answer."""
        from stockifyd_kafka.connection import reach  # noqa: PLC0415  see above

        try:
            await reach(self.config)
        except StockifydError as error:
            return [f"{error.reason}\n  HINT: {error.hint}"]
        return ()

    async def read(self, claims: Claims) -> AsyncIterator[Sequence[Message]]:
        """Messages as they come, until `end` if there is one.

        Raises Drift for an operator, and Unavailable only when connecting anew did not help: then the process should end, and
        be started again. All else is ridden out in here, with empty lists.
        """
        kept = self._kept
        self._watch.rest()
        self._perform(kept.machine.on_rewound())
        self._tick()
        keeping = asyncio.create_task(kept.keep(claims), name=f"{self.context.name}-keeper")
        try:
            while not (kept.machine.ready and kept.ending.is_reached(kept.machine.positions)):
                yield await self._turn(keeping)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait({keeping})

    def positions(self) -> Mapping[Partition, int]:
        """The next offsets of those that moved in the last turn: beyond its last message where control records follow it."""
        return self._named(self._advanced)

    def lag(self) -> Mapping[Partition, int]:
        """Messages there but not yet handed out, by offsets."""
        kept = self._kept
        ends = {tp: kept.ending.cut(tp, kept.ends.get(tp, at)) for tp, at in kept.machine.positions.items()}
        return self._named({tp: max(0, ends[tp] - at) for tp, at in kept.machine.positions.items()})

    def pause(self) -> None:
        """Fetch nothing; stay a member."""
        self._perform(self._kept.machine.on_paused())

    def resume(self) -> None:
        """Fetch again."""
        self._watch.rest()  # what was not asked for did not stall
        self._perform(self._kept.machine.on_resumed())

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit what is still ours. Losing it costs nothing but a repetition, so only an operator's errors are raised."""
        member = self._kept.member
        if member is None:
            return
        from aiokafka import TopicPartition  # noqa: PLC0415  see above
        from aiokafka.errors import KafkaError  # noqa: PLC0415

        from stockifyd_kafka.errors import meaning  # noqa: PLC0415

        try:
            await member.commit(
                {TopicPartition(p.topic, p.number): o for p, o in offsets.items() if p.cluster == member.names.cluster}
            )
        except (KafkaError, TimeoutError) as error:
            found = meaning(error, "cannot commit")
            if isinstance(found, Drift):
                raise found from error
            self.context.log.debug("%s", found.reason)

    # One turn of reading.

    async def _turn(self, keeping: asyncio.Task[None]) -> Sequence[Message]:
        kept = self._kept
        self._advanced = {}
        if keeping.done():
            keeping.result()
        self._drop_fetch_of_another()
        if self._fetch is None and kept.machine.may_fetch and kept.member is not None:
            generation = kept.machine.fetch_begun()
            self._fetch = _Fetch(generation, kept.member, asyncio.create_task(kept.member.fetch(generation)))
        if self._fetch is None:
            self._watch.rest()
            kept.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(kept.news.wait(), TURN_SECS)
            return []
        await asyncio.wait({self._fetch.task, keeping}, timeout=TURN_SECS, return_when=asyncio.FIRST_COMPLETED)
        return await self._conclude() if self._fetch.task.done() else []

    def _drop_fetch_of_another(self) -> None:
        # A consumer that was replaced may never answer, and what it brings is not read by anybody.
        if (fetch := self._fetch) is not None and fetch.member is not self._kept.member:
            fetch.task.cancel()
            self._fetch = None
            self._perform(self._kept.machine.fetch_failed(fetch.generation))

    async def _conclude(self) -> Sequence[Message]:
        fetch, self._fetch = self._fetch, None
        if fetch is None or fetch.task.cancelled():
            return []
        self._check_lag()
        machine = self._kept.machine
        if (error := fetch.task.exception()) is not None:
            self._perform(machine.fetch_failed(fetch.generation))
            await self._failed(fetch.generation, error)
            return []
        fetched = fetch.task.result()
        before = dict(machine.positions)
        ours, actions = machine.fetched(fetch.generation, {tp: seen.position for tp, seen in fetched.seen.items()})
        self._perform(actions)
        if not ours:
            return []
        cut = {tp: self._kept.ending.cut(tp, at) for tp, at in machine.positions.items()}
        self._advanced = {tp: at for tp, at in cut.items() if before[tp] < at}
        if done := self._kept.ending.done(machine.positions):
            self._perform([Pause(done)])
        self._observe(fetched, {tp: seen for tp, seen in fetched.seen.items() if tp not in done})
        if fetched.messages:
            self._kept.renewals = self._failures = 0
        return self._not_behind_the_end(fetched, fetch.member)

    def _not_behind_the_end(self, fetched: Fetched, member: Member) -> Sequence[Message]:
        if not (stops := {member.names[tp]: offset for tp, offset in self._kept.ending.stops.items()}):
            return fetched.messages
        return [m for m in fetched.messages if m.position.offset < stops.get(m.position.partition, m.position.offset + 1)]

    def _observe(self, fetched: Fetched, awaited: Mapping[TopicPartition, Seen]) -> None:
        kept = self._kept
        kept.ends.update((tp, seen.end) for tp, seen in fetched.seen.items())
        if kept.machine.paused:
            self._watch.rest()
            return
        match self._watch.observe(time.monotonic(), awaited, drained=fetched.drained):
            case Verdict.SILENT:
                self.context.log.warning("Kafka at %s does not answer; waiting for it", self.config.brokers)
            case Verdict.BACK:
                self.context.log.info("Kafka at %s answers again", self.config.brokers)
            case Verdict.STALLED:
                kept.stalled = self._watch.stalled
                kept.wake.set()
            case Verdict.FINE:
                pass

    async def _failed(self, generation: int, error: BaseException) -> None:
        from aiokafka import errors as kafka  # noqa: PLC0415  see above

        from stockifyd_kafka.errors import describe, meaning  # noqa: PLC0415
        from stockifyd_kafka.member import UnreadableError  # noqa: PLC0415

        cause = error.__cause__
        if not isinstance(error, UnreadableError) or cause is None:
            raise error
        kept = self._kept
        if isinstance(cause, (kafka.OffsetOutOfRangeError, kafka.NoOffsetForPartitionError)):
            if generation == kept.machine.generation:
                self._perform(kept.machine.on_displaced())
                kept.wake.set()
            return
        found = meaning(cause, "cannot read")
        if isinstance(found, Drift):
            raise found from cause
        self._failures += 1
        if self._failures == 1:
            self.context.log.warning("%s; reading the same again", found.reason)
        if self._failures >= TRIES and not isinstance(cause, kafka.ConsumerStoppedError):
            where = ", ".join(f"{tp.topic}/{tp.partition} from {at}" for tp, at in sorted(kept.machine.positions.items())[:10])
            raise Drift(
                f"cannot read, {self._failures} times in a row: {describe(cause)}; next to read: {where}",
                hint="a record is corrupt or too large: `kafka-dump-log.sh --deep-iteration` finds it",
            ) from cause
        await asyncio.sleep(min(0.1 * 2**self._failures, TURN_SECS))

    # The event loop's own clock: a process that slept through a session must not go on as if nothing had happened.

    def _tick(self) -> None:
        self._check_lag()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(TICK_SECS, self._tick)

    def _check_lag(self) -> None:
        now, before = time.monotonic(), self._ticked
        self._ticked = now
        if before and now - before > self.config.session_timeout_ms / 1000:
            self.context.log.warning("nothing ran for %.1f s, longer than the session: are we still a member?", now - before)
            self._perform(self._kept.machine.on_doubted())
            self._kept.wake.set()

    def _perform(self, actions: Sequence[Action]) -> None:
        if self._kept.member is not None:
            self._kept.member.perform(actions)

    def _named(self, offsets: Mapping[TopicPartition, int]) -> dict[Partition, int]:
        member = self._kept.member
        return {} if member is None else {member.names[tp]: offset for tp, offset in offsets.items()}
