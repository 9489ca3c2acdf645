"""What a message of one row costs, stage by stage, without a server: CPU microseconds, with the modules in C and without them."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from applying import applied
from loads import TICK_COLUMNS, ticks
from stages import Stages

from stockifyd.api import Batch, Message, Partition
from stockifyd.runtime import runs
from stockifyd.testing import make
from stockifyd_basic import Flatten
from stockifyd_kafka import records
from stockifyd_kafka.portion import Portion
from stockifyd_kafka.unpacking import Unpacking
from stockifyd_postgres import encoding

LZ4 = 3
BATCH = 20_000
RECORDS = 4_000
FLOAT = "double precision"
KINDS = ("timestamp with time zone", "integer", FLOAT, "bigint", "bigint", "bigint", FLOAT, FLOAT)
"""Of the columns of `ticks`."""


def packed(values: Sequence[bytes]) -> bytes:
    """Record batches as a broker sends them."""
    found = b""
    for start in range(0, len(values), RECORDS):
        builder = DefaultRecordBatchBuilder(2, LZ4, False, -1, -1, -1, 2**30)
        for offset, value in enumerate(values[start : start + RECORDS]):
            builder.append(offset, 1_700_000_000_000 + offset, None, value, [])
        found += start.to_bytes(8, "big") + bytes(builder.build())[8:]
    return found


def fetched(data: Sequence[bytes], stages: Stages) -> Iterator[list[Message]]:
    """Messages by the portion, as the source reads them; a batch of them at a time."""
    portion, batch = Portion(), list[Message]()
    for number, part in enumerate(data):
        read = PartitionRecords(TopicPartition("ticks", number), MemoryRecords(part), [], 0, None, None, True, READ_UNCOMMITTED)
        unpacking = Unpacking(read, Partition("ticks", number), portion)
        while True:
            portion.begin()
            with stages.of("unpack"):
                messages = next(unpacking, None)
            if messages is None:
                break
            with stages.of("runs"):
                runs.runs(messages)
            batch += messages
            del messages
            if len(batch) >= BATCH:
                yield batch
                batch = []
    yield batch


def measure(data: Sequence[bytes]) -> Stages:
    """CPU seconds by stage, of all the data. Of each batch everything is freed before the next one, as in a pipeline."""
    stages, flatten = Stages(), make(Flatten, table="ticks", columns=yaml.safe_load(f"{{{TICK_COLUMNS}}}"))
    for messages in fetched(data, stages):
        with stages.of("runs"):
            runs.runs(messages)
        with stages.of("decode and flatten"):
            batch: Any = applied(flatten, Batch(tuple(messages)))
        with stages.of("days"):
            encoding.days(batch.tables["ticks"].rows, 0)
        with stages.of("encode"):
            encoding.encode(KINDS, batch.tables["ticks"].rows)
        messages.clear()
        with stages.of("free"):
            del batch
    return stages


@contextmanager
def plain() -> Iterator[None]:
    """As where there was no compiler; days and encoding are then other modules' work."""
    modules: list[tuple[Any, str]] = [(records, "_records"), (runs, "_runs"), (encoding, "_binary")]
    kept = [getattr(module, name) for module, name in modules]
    for module, name in modules:
        setattr(module, name, None)
    yield
    for (module, name), one in zip(modules, kept, strict=True):
        setattr(module, name, one)


def main() -> None:
    """Print the table: the least of all rounds."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--messages", type=int, default=200_000)
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    data = [packed(values) for values in ticks(given.messages).messages.values()]
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    found: dict[str, list[Stages]] = {"in C": [], "in Python": []}
    for _ in range(given.rounds):
        found["in C"].append(measure(data))
        with plain():
            found["in Python"].append(measure(data))
    print(f"| stage | {' | '.join(found)} |\n|---|---|---|")
    for stage in found["in C"][0]:
        least = (1e6 / given.messages * min(one[stage] for one in some) for some in found.values())
        print(f"| {stage} | {' | '.join(f'{micros:.2f}' for micros in least)} |")


if __name__ == "__main__":
    main()
