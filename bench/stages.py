"""CPU of each stage alone, over the same messages, a million rows: where the next second is to be found (figure e)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from applying import applied
from bed import DATABASE, WRITER, Bed
from loads import PARTITIONS, Subject, empty

from stockifyd.api import Batch, Context, Message, Partition, Position, Row
from stockifyd_optionchain.flatten_chain import FlattenChain, FlattenChainOptions
from stockifyd_optionchain.reading import chain_of
from stockifyd_postgres.encoding import END, SIGNATURE, encode

TYPES = """SELECT format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = 'option_contracts'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
BATCH = 40


class Stages(dict[str, float]):
    """CPU seconds of this process by stage."""

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self[stage] = self.get(stage, 0.0) + time.process_time() - began


def measure(at: Bed, subject: Subject) -> dict[str, float]:
    """CPU seconds a million rows: the program's stages one by one, and the servers' while the rows are sent."""
    stages, per_million = Stages(), 1e6 / subject.rows
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    messages = asyncio.run(_fetched(at, subject, stages))
    blocks = list(chain.from_iterable(_blocks(at, messages, stages)))
    empty(at, subject)
    with _servers(at, stages):
        asyncio.run(_sent(at, blocks, stages))
    return {stage: secs * per_million for stage, secs in stages.items()}


async def _fetched(at: Bed, subject: Subject, stages: Stages) -> list[Message]:
    """All messages, by aiokafka, as the source reads them."""
    consumer = AIOKafkaConsumer(bootstrap_servers=at.kafka.bootstrap, fetch_max_bytes=2**22, max_partition_fetch_bytes=2**20)
    await consumer.start()
    consumer.assign([TopicPartition(subject.topic, n) for n in range(PARTITIONS)])
    await consumer.seek_to_beginning()
    found: list[Message] = []
    with stages.of("fetch"):
        while len(found) < subject.count:
            for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=24)).items():
                partition = Partition(tp.topic, tp.partition)
                found += [Message(Position(partition, r.offset), r.value, None, r.key, r.timestamp, r.headers) for r in records]
    await consumer.stop()
    return found


def _blocks(at: Bed, messages: Sequence[Message], stages: Stages) -> Iterator[list[bytes]]:
    """Each batch decoded, made rows of, and encoded."""
    kinds = [row[0] for row in at.ask(TYPES)]
    transform = FlattenChain(FlattenChainOptions(), Context("bench", "flatten_chain", logging.getLogger("bench")))
    waiting = iter(messages)
    while batch := list(islice(waiting, BATCH)):
        with stages.of("decode"):
            decoded = [chain_of(message) for message in batch]
        del decoded
        with stages.of("decode and transform"):
            rows: list[Row] = applied(transform, Batch(tuple(batch))).tables["options"].rows
        with stages.of("encode"):
            blocks = encode(kinds, rows)
        if blocks is None:
            raise RuntimeError("the rows were left to asyncpg")
        yield blocks


async def _sent(at: Bed, blocks: Sequence[bytes], stages: Stages) -> None:
    """COPY of what is encoded, 20,000 rows at a time, through PgBouncer."""
    connection = await asyncpg.connect(at.pgbouncer.url(DATABASE, user=WRITER), statement_cache_size=0)
    for start in range(0, len(blocks), 20):

        async def source(some: Sequence[bytes] = blocks[start : start + 20]) -> AsyncIterator[bytes]:
            for part in (SIGNATURE, *some, END):
                yield part

        with stages.of("socket"):
            await connection.copy_to_table("option_contracts", source=source(), format="binary")
    await connection.close()


@contextmanager
def _servers(at: Bed, stages: Stages) -> Iterator[None]:
    """What PostgreSQL and PgBouncer spend meanwhile."""
    named: dict[str, Callable[[], float]] = {
        "server": lambda: _of_children(at.postgres.child.pid if at.postgres.child else 0),
        "pooler": lambda: _of(at.pgbouncer.child.pid if at.pgbouncer.child else 0),
    }
    before = {name: read() for name, read in named.items()}
    yield
    for name, read in named.items():
        stages[name] = read() - before[name]


def _of(pid: int) -> float:
    """CPU seconds of a process, and of those of its children that have ended."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")


def _of_children(pid: int) -> float:
    """CPU seconds of a process and all that it has forked."""
    pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _of(pid) + sum(_of(int(child)) for child in pids)
