"""All that a plugin may import: components, messages, options, errors and hooks."""

from stockifyd.api.batch import Batch, DeadLetter, Message, Partition, Position, Receipt, Row, Span, Table, dead_letter
from stockifyd.api.calendar import Calendar, Session, Unknown
from stockifyd.api.components import Claims, Component, Context, LedgerSink, Sink, Source, Tables, Transform
from stockifyd.api.errors import Drift, Fenced, Reject, Retry, StockifydError, Unavailable
from stockifyd.api.hooks import Components, LoadSpec, hookimpl
from stockifyd.api.options import Config, Secret, config_type, configure

API_VERSION = 1
"""Which plugin API this is. A plugin says `requires_api = 1` at the top level of its module; another number is refused.

It rises when a plugin that was right would be wrong. What is only added does not raise it.
"""

__all__ = [
    "API_VERSION",
    "Batch",
    "Calendar",
    "Claims",
    "Component",
    "Components",
    "Config",
    "Context",
    "DeadLetter",
    "Drift",
    "Fenced",
    "LedgerSink",
    "LoadSpec",
    "Message",
    "Partition",
    "Position",
    "Receipt",
    "Reject",
    "Retry",
    "Row",
    "Secret",
    "Session",
    "Sink",
    "Source",
    "Span",
    "StockifydError",
    "Table",
    "Tables",
    "Transform",
    "Unavailable",
    "Unknown",
    "config_type",
    "configure",
    "dead_letter",
    "hookimpl",
]
