"""The sink `kafka`: messages, or rows of a table, into a topic."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stockifyd.api import Batch, Context, Drift, Receipt, Reject, Sink, Table, Tables
from stockifyd_kafka.options import KafkaSinkOptions
from stockifyd_kafka.outgoing import Outgoing, of_message, of_rows

if TYPE_CHECKING:  # imported when the sink works: `stockifyd validate` imports this module, and aiokafka takes its time
    from stockifyd_kafka.outlet import Outlet

TURN_BYTES = 2**20
RECORD_COST = 1_000
"""A small record costs as much as so many bytes of a large one."""


class KafkaSink(Sink[KafkaSinkOptions]):
    """Writes messages, or rows of a table, to a topic; each record says which message it was made of.

    At least once: after a crash, or when Kafka did not answer in time, the same records come again. The order of a partition is
    kept; what is in one partition of the source is in one of the topic.
    """

    type = "kafka"

    def __init__(self, config: KafkaSinkOptions, context: Context) -> None:
        super().__init__(config, context)
        self._outlet: Outlet | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect. Unavailable where no broker answers; Drift for a wrong password or a topic that is missing."""
        await self._connected()

    async def write(self, batch: Batch) -> Receipt:
        """Send all, and wait until all replicas in sync have it.

        Unavailable where Kafka does not answer within `delivery_timeout_ms`, Drift where an operator must act, Reject for a row
        that the topic never takes; of whole messages the receipt names them.
        """
        if not batch.messages:
            return Receipt()
        outlet = await self._connected()
        records, refused = await self._records(batch, outlet)
        try:
            async with asyncio.timeout(self.config.delivery_timeout_ms / 1000):
                await outlet.send(records)
        except BaseException as error:
            try:
                found = await self._meaning(error, outlet)
            finally:
                self._leave()  # cancelled too: nothing of it may be sent later, behind what comes then
            if found is error:
                raise
            raise found from error
        return Receipt(rows=len(records), rejected=refused)

    def wants(self) -> Tables:
        """The table, if one is named, with the column of the key."""
        return {self.config.table: (self.config.key,) if self.config.key else ()} if self.config.table else {}

    async def probe(self) -> Sequence[str]:
        """Whether the brokers answer, and the topic is there."""
        from stockifyd_kafka.writing import doubts  # noqa: PLC0415  see above

        return await doubts(self.config, self.context.log)

    async def close(self) -> None:
        """Leave; nothing waits to be sent when nothing is being written."""
        self._leave()
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _connected(self) -> Outlet:
        if self._outlet is None:
            from stockifyd_kafka.writing import connected  # noqa: PLC0415  see above

            self._outlet = await connected(self.config, self.context.log)
        return self._outlet

    async def _records(self, batch: Batch, outlet: Outlet) -> tuple[list[Outgoing], Mapping[int, str]]:
        """All records of the batch, each checked; the messages that never can be one, with the reason."""
        records, turn = list[Outgoing](), Turn()
        if self.config.table:
            table = self._arrived(batch, self.config.table)
            for record in of_rows(batch, self.config.table, table, key=self.config.key, choose=outlet.partitions.choose):
                if why := outlet.check(record):
                    raise Reject(why, table=self.config.table, row=record.place)
                records.append(record)
                await turn.after(record)
            return records, {}
        refused = dict[int, str]()
        for place, message in enumerate(batch.messages):
            try:
                record = of_message(message, place, outlet.partitions.choose)
            except Reject as reject:
                refused[place] = reject.reason
                continue
            if why := outlet.check(record):
                refused[place] = why
            else:
                records.append(record)
            await turn.after(record)
        return records, refused

    def _arrived(self, batch: Batch, name: str) -> Table:
        table = batch.tables.get(name)
        if table is None:
            raise Drift(f"no table {name!r} arrives here", hint="a transform before must make it, such as `flatten`")
        if self.config.key and self.config.key not in table.columns:
            raise Drift(f"table {name!r} has no column {self.config.key!r}", hint=f"it has {', '.join(table.columns)}")
        return table

    async def _meaning(self, error: BaseException, outlet: Outlet) -> BaseException:
        from stockifyd_kafka.writing import meaning_of  # noqa: PLC0415  see above

        return await meaning_of(error, outlet, self.config)

    def _leave(self) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            leaving = asyncio.create_task(outlet.leave(), name=f"{self.context.name}-leaving")
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)


class Turn:
    """Gives others their turn on the event loop, after so many bytes and so many records."""

    def __init__(self) -> None:
        self._left = TURN_BYTES

    async def after(self, record: Outgoing) -> None:
        """One record is made."""
        self._left -= len(record.value) + RECORD_COST
        if self._left < 0:
            self._left = TURN_BYTES
            await asyncio.sleep(0)
