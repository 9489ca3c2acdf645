"""What plugin authors import: contracts that components keep, fakes that keep them too, and makers of messages and batches."""
# ruff: noqa: E402  # pytest must know the contracts before they are imported, or a fact that fails shows no values

import pytest

pytest.register_assert_rewrite(
    "stockifyd.testing.component_contract",
    "stockifyd.testing.ledger_contract",
    "stockifyd.testing.sink_contract",
    "stockifyd.testing.source_contract",
    "stockifyd.testing.transform_contract",
)

from stockifyd.testing.cases import PipelineCase, pipeline_cases
from stockifyd.testing.claims import FakeClock, MemoryClaims
from stockifyd.testing.fakes import MemoryLedger, MemoryRows, MemorySink
from stockifyd.testing.flow import flow, run
from stockifyd.testing.ledger_contract import LedgerContract
from stockifyd.testing.making import COLUMNS, PARTITION, TABLE, make, make_batch, make_context, make_message, make_row
from stockifyd.testing.memory import Commit, Gap, MemoryStore, MemoryTopic
from stockifyd.testing.memory_source import MemorySource
from stockifyd.testing.sink_contract import SinkContract
from stockifyd.testing.source_contract import SourceContract
from stockifyd.testing.transform_contract import TransformContract

__all__ = [
    "COLUMNS",
    "PARTITION",
    "TABLE",
    "Commit",
    "FakeClock",
    "Gap",
    "LedgerContract",
    "MemoryClaims",
    "MemoryLedger",
    "MemoryRows",
    "MemorySink",
    "MemorySource",
    "MemoryStore",
    "MemoryTopic",
    "PipelineCase",
    "SinkContract",
    "SourceContract",
    "TransformContract",
    "flow",
    "make",
    "make_batch",
    "make_context",
    "make_message",
    "make_row",
    "pipeline_cases",
    "run",
]
