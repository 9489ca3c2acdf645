"""What plugin authors import: contracts that components keep, fakes that keep them too, and makers of messages and batches."""
# ruff: noqa: E402  # pytest must know the contracts before they are imported, or a fact that fails shows no values

import pytest

pytest.register_assert_rewrite("stockifyd.testing.contracts")

from stockifyd.testing import faults
from stockifyd.testing.cases import PipelineCase, pipeline_cases
from stockifyd.testing.claims import FakeClock, MemoryClaims
from stockifyd.testing.contracts.ledger import LedgerContract
from stockifyd.testing.contracts.sink import SinkContract
from stockifyd.testing.contracts.source import SourceContract
from stockifyd.testing.contracts.transform import TransformContract
from stockifyd.testing.documents import check_readme, check_sample
from stockifyd.testing.fakes import MemoryLedger, MemoryRows, MemorySink
from stockifyd.testing.flow import flow, run
from stockifyd.testing.golden import Case, golden
from stockifyd.testing.making import COLUMNS, PARTITION, TABLE, make, make_batch, make_context, make_message, make_row
from stockifyd.testing.memory import Commit, Gap, MemoryStore, MemoryTopic
from stockifyd.testing.memory_source import MemorySource

__all__ = [
    "COLUMNS",
    "PARTITION",
    "TABLE",
    "Case",
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
    "check_readme",
    "check_sample",
    "faults",
    "flow",
    "golden",
    "make",
    "make_batch",
    "make_context",
    "make_message",
    "make_row",
    "pipeline_cases",
    "run",
]
