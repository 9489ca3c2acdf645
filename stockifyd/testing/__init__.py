"""What plugin authors import: fakes that keep the contracts of real components, and one-line makers of messages and batches."""

from stockifyd.testing.claims import FakeClock, MemoryClaims
from stockifyd.testing.fakes import MemoryLedger, MemoryRows, MemorySink
from stockifyd.testing.making import COLUMNS, PARTITION, TABLE, make, make_batch, make_context, make_message, make_row
from stockifyd.testing.memory import Commit, Gap, MemoryStore, MemoryTopic
from stockifyd.testing.memory_source import MemorySource

__all__ = [
    "COLUMNS",
    "PARTITION",
    "TABLE",
    "Commit",
    "FakeClock",
    "Gap",
    "MemoryClaims",
    "MemoryLedger",
    "MemoryRows",
    "MemorySink",
    "MemorySource",
    "MemoryStore",
    "MemoryTopic",
    "make",
    "make_batch",
    "make_context",
    "make_message",
    "make_row",
]
