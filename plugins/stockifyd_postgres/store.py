"""What the sink `postgres` does: rows, dead letters and offsets in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from stockifyd.api import (
    Batch,
    Context,
    Drift,
    Message,
    Partition,
    Receipt,
    Reject,
    Retry,
    Span,
    StockifydError,
    Unavailable,
)
from stockifyd_postgres import letters, pooler
from stockifyd_postgres.address import resolve
from stockifyd_postgres.catalogue import CURE, look
from stockifyd_postgres.connection import Session
from stockifyd_postgres.errors import ForeignKey, Lost, PartitionMissing, UniqueViolation
from stockifyd_postgres.eviction import LeftBehind, evicting
from stockifyd_postgres.ledger import Ledger, last_messages
from stockifyd_postgres.loads import Load, Loader
from stockifyd_postgres.options import PostgresOptions
from stockifyd_postgres.partitions import Days
from stockifyd_postgres.writer import Writer

FOREIGN_KEY_TRIES = 3


@dataclass(frozen=True, slots=True)
class Doubt:
    """A COMMIT that was sent: until it is answered only the ledger knows."""

    advance: Mapping[Partition, Span]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Prepared:
    """What of a batch is made before its transaction begins, with the loader that made it."""

    batch: Batch
    loader: Loader
    loads: list[Load]
    last: Mapping[Partition, Message]


class Store:
    """The far side of one sink: its session, its ledger, and the way of a batch into the tables."""

    def __init__(self, config: PostgresOptions, context: Context, sent: Callable[[], None]) -> None:
        self.config, self.context = config, context
        self.ledger = Ledger(context.consumer or context.pipeline, context.name)
        self.days = Days(config, context.now)
        self.writer = Writer(sent)
        self.left_behind = LeftBehind(config)
        self.loader = Loader(config, {})
        self._session: Session | None = None
        self._prepared: Prepared | None = None
        self._doubt: Doubt | None = None
        self._foreign_keys = 0

    @property
    def session(self) -> Session:
        """The connection; there is one from `open` on."""
        if self._session is None:
            raise Unavailable("the sink is not open")
        return self._session

    async def open(self) -> None:
        """Connect, recognise the pooler, compare the spec with the catalogue, make the partitions of these days."""
        await self.close()
        self._session = self.connect()
        pooling = await pooler.recognise(self.session)
        await self._check_catalogue()
        await self.days.ensure_around(self.session, self.loader.targets.values())
        self.context.log.info(await pooler.greeting(self.session, pooling))

    def connect(self) -> Session:
        """A session to this sink's database, not connected yet."""
        name = f"stockifyd {self.ledger.consumer}/{self.ledger.sink}"
        return Session(resolve(self.config.database), self.config, application=name, log=self.context.log)

    async def probe(self) -> Sequence[str]:
        """What `open` would stumble over, each with its cure."""
        session = self.connect()
        try:
            pooling = await pooler.recognise(session)
            async with session.transaction() as transaction:
                findings = (await look(transaction, self.config, self.context.tables)).findings
        except StockifydError as error:
            return [f"{error.reason}: {error.hint}" if error.hint else error.reason]
        finally:
            await session.close()
        pooled = ["the pooler pools by session: set pool_mode = transaction, or each client keeps a server"]
        return [f"{text}: {CURE}" for text in findings] + (pooled if pooling == "session" else [])

    async def close(self) -> None:
        """Close the connection, if there is one."""
        self._prepared = None
        if self._session is not None:
            await self._session.close()

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """The next offsets that the ledger knows; and, now and then, partitions for the days around today, and zombies ended."""
        try:
            await self.days.ensure_around(self.session, self.loader.targets.values())
        except Retry as error:  # the partitions of the days to come can wait for the next look; a batch makes its own
            self.context.log.debug("partitions could not be made ahead", extra={"reason": error.reason})
        await self.left_behind.end(self.session)
        async with self.session.transaction() as transaction:
            return {
                partition: entry.next_offset for partition, entry in (await self.ledger.read(transaction, partitions)).items()
            }

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        """Own partitions in the ledger, in a transaction of its own."""
        if not starts:
            return {}
        try:
            system = await self._system()
            async with self.session.transaction() as transaction:
                # on disk, even where rows need not be: without its first line the ledger could not tell that it was rewound
                await transaction.execute("SET LOCAL synchronous_commit = on")
                async with evicting(self.session, await transaction.value("SELECT pg_backend_pid()")):
                    await self.ledger.check_birth(transaction, system)
                    claimed = await self.ledger.claim(transaction, starts)
                await transaction.commit()
        except Retry as error:
            raise Unavailable(f"the ledger is locked: {error.reason}", hint="see pg_locks for stockifyd.offsets") from error
        self._doubt = None
        return self.ledger.remember(claimed)

    async def recognise(self, messages: Sequence[Message]) -> None:
        """Compare messages with what the ledger remembers of them."""
        async with self.session.transaction() as transaction:
            await self.ledger.recognise(transaction, messages)

    async def skip(self, partition: Partition, span: Span, reason: str) -> None:
        """Record a gap and move the ledger over it."""
        async with self.session.transaction() as transaction:
            await self.ledger.record_gap(transaction, partition, span, reason=reason)
            await transaction.commit()

    async def prepare(self, batch: Batch) -> None:
        """Encode a batch while the one before it is written; raises as `write` does."""
        self._prepared = await self._made_ready(batch)

    async def write(self, batch: Batch) -> Receipt:
        """One batch, one transaction; what can be cured is, and tried again."""
        try:
            ready = await self._ready(batch)
            await self._ensure_days(ready.loads)
            receipt = await self._settled(ready)
        except Reject as error:
            await self._check_catalogue(because=error)
            raise
        except ForeignKey as error:
            self._foreign_keys += 1
            if self._foreign_keys < FOREIGN_KEY_TRIES:
                raise
            raise Reject(error.reason, code="23503") from error
        self._foreign_keys = 0
        return receipt

    async def redeliver(self, batch: Batch, message: Message) -> Receipt:
        """Write the rows of a dead letter and delete it, in one transaction; no offsets. Raises as `write` does."""
        loads = await self.loader.loads(batch)
        await self._ensure_days(loads)

        async def attempt() -> Receipt:
            async with self.session.transaction() as transaction:
                await letters.delete(transaction, self.ledger, message.position)
                receipt = await self.writer.write(transaction, loads)
                await transaction.commit()
                return receipt

        return await self._cured(loads, attempt, {})

    async def _ready(self, batch: Batch) -> Prepared:
        """What was prepared, if it is this batch and no table has changed since."""
        prepared = self._prepared
        if prepared is None or prepared.batch is not batch:  # what is prepared may be the next one, if this one is tried again
            return await self._made_ready(batch)
        self._prepared = None
        return prepared if prepared.loader is self.loader else await self._made_ready(batch)

    async def _made_ready(self, batch: Batch) -> Prepared:
        loader = self.loader
        return Prepared(batch, loader, await loader.loads(batch), last_messages(batch, batch.advance))

    async def _settled(self, ready: Prepared) -> Receipt:
        async def attempt() -> Receipt:
            return await self._attempt(ready)

        try:
            return await self._cured(ready.loads, attempt, ready.batch.advance)
        except Lost as error:
            if self._doubt is None:
                raise
            return await self._resolved(self._doubt, error)

    async def _attempt(self, ready: Prepared) -> Receipt:
        """One transaction: look at the ledger, COPY, dead letters, and last of all the compare-and-swap."""
        batch = ready.batch
        async with self.session.transaction() as transaction:
            standing = await self.ledger.stands(transaction, batch.advance) if batch.advance else "base"
            doubt, self._doubt = self._doubt, None
            if standing == "next" and doubt is not None and doubt.advance == batch.advance:
                return doubt.receipt
            if standing != "base":
                raise await self.ledger.fenced(transaction, batch.advance)
            async with evicting(self.session, transaction.pid):
                receipt = await self.writer.write(transaction, ready.loads)
                await letters.store(transaction, self.ledger, batch.rejected, pipeline=self.context.pipeline)
                await self.ledger.swap(transaction, batch.advance, ready.last)
            self._doubt = Doubt(batch.advance, receipt)
            await transaction.commit()
        self._doubt = None
        self.writer.succeeded(ready.loads)
        return receipt

    async def _resolved(self, doubt: Doubt, lost: Lost) -> Receipt:
        """After a COMMIT without an answer: what the ledger says, read on a new connection."""
        self.session.terminate()
        if not doubt.advance:
            self._doubt = None
            raise Retry("the answer to COMMIT was lost, and no offset tells its outcome") from lost
        async with self.session.transaction() as transaction:
            standing = await self.ledger.stands(transaction, doubt.advance)
            fenced = await self.ledger.fenced(transaction, doubt.advance)
        if standing == "base":  # no proof that it failed: it may yet arrive, and then the swap decides
            raise Retry("the answer to COMMIT was lost, and the ledger has not moved") from lost
        self._doubt = None
        if standing == "next":
            self.context.log.warning("the answer to COMMIT was lost; the ledger says that it took effect")
            return doubt.receipt
        raise fenced from lost

    async def _cured(
        self, loads: list[Load], attempt: Callable[[], Awaitable[Receipt]], advance: Mapping[Partition, Span]
    ) -> Receipt:
        """Try; cure a conflict by staging its table and a missing partition by making it; else the error goes on."""
        remade = False
        while True:
            try:
                return await attempt()
            except UniqueViolation as error:
                await self._after_conflict(error, loads, advance)
            except PartitionMissing:
                if remade:
                    raise
                remade = True
                self.days.forget()
                await self._ensure_days(loads)

    async def _after_conflict(self, error: UniqueViolation, loads: list[Load], advance: Mapping[Partition, Span]) -> None:
        """A key is already there: because another owner wrote it (Fenced), or because it was there before."""
        async with self.session.transaction() as transaction:
            if advance and await self.ledger.stands(transaction, advance) != "base":
                raise await self.ledger.fenced(transaction, advance) from error
        load = next((load for load in loads if load.name == error.table), None)
        if load is None or load.options.on_conflict == "error" or self.writer.staged(load.name):
            raise error
        self.writer.stage(load.name)

    async def _ensure_days(self, loads: Sequence[Load]) -> None:
        for load in loads:
            await self.days.ensure(self.session, load.target, self.days.of(load))

    async def _check_catalogue(self, *, because: Reject | None = None) -> None:
        """Read the catalogue. After a Reject: if a table changed its shape, that is the reason, and not the row."""
        async with self.session.transaction() as transaction:
            targets = (await look(transaction, self.config, self.context.tables)).demand()
        before, self.loader = self.loader.targets, Loader(self.config, targets)
        changed = [target.name for name, target in targets.items() if before.get(name) != target]
        if because is not None and changed:
            names = ", ".join(".".join(name) for name in changed)
            raise Drift(f"{names} changed while the pipeline ran: {because.reason}", hint=CURE) from because

    async def _system(self) -> str:
        """The server's own identity, which a promotion keeps and a copy elsewhere does not; empty if we may not ask."""
        try:
            async with self.session.transaction() as transaction:
                return str(await transaction.value("SELECT system_identifier FROM pg_control_system()"))
        except Drift:
            self.context.log.debug("the role may not read pg_control_system(): the database's name alone is compared")
            return ""
