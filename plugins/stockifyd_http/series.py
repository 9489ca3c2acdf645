"""What is polled: a symbol, or one expiry of it, with how far it was read and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import msgspec

from stockifyd.api import Message, Partition, Position
from stockifyd_http.answers import Answer
from stockifyd_http.options import HttpOptions
from stockifyd_http.requests import Prepared, prepared
from stockifyd_http.schedule import micros
from stockifyd_http.template import Values, filled

NOTHING = Answer(None)


@dataclass(slots=True)
class Gap:
    """Polls that brought nothing, one after another, and the reason of the first."""

    since: int
    reason: str
    polls: int = 1
    is_over: bool = False
    """A poll was answered since, if only with nothing new."""

    def __str__(self) -> str:
        return self.reason if self.polls == 1 else f"{self.polls} polls brought nothing, the first: {self.reason}"


@dataclass(slots=True)
class Series:
    """One partition. `next` is the offset that reading stands at, `durable` how far the sinks are; offsets are microseconds."""

    symbol: str
    expiry: date | None
    request: Prepared
    head: bytes | None
    """The envelope up to `received_at`; None where messages have none."""
    next: int = 0
    durable: int = 0
    known: Answer = NOTHING
    is_asked: bool = False
    asked_for: int = 0
    """The instant that it was polled for last."""
    gap: Gap | None = None
    held: list[Message] = field(default_factory=list)
    """Messages that wait until the gap before them is recorded."""

    @property
    def key(self) -> str:
        """`NIFTY:2026-11-24`, or `NIFTY`."""
        return f"{self.symbol}:{self.expiry}" if self.expiry else self.symbol

    @property
    def partition(self) -> Partition:
        """Where its messages sit."""
        return Partition(self.key)

    @property
    def is_settled(self) -> bool:
        """Whether everything that was read is durable."""
        return self.durable >= self.next

    def missed(self, at: int, reason: str) -> None:
        """A poll that was due brought nothing."""
        if self.gap is None:
            self.gap = Gap(at, reason)
        else:
            self.gap.polls += 1

    def unchanged(self) -> None:
        """A poll was answered with nothing new."""
        if self.gap:
            self.gap.is_over = True

    def hold(self, body: bytes, at: datetime) -> None:
        """Keep an answer as a message, until what is missing before it is recorded."""
        self.held.append(self._message(body, at))

    def release(self) -> list[Message]:
        """The messages that were held; reading stands behind them."""
        released, self.held = self.held, []
        if released:
            self.next = released[-1].position.offset + 1
        return released

    def _message(self, body: bytes, at: datetime) -> Message:
        """Its offset is the time it came, and rises, whatever the clock does."""
        last = self.held[-1].position.offset + 1 if self.held else self.next
        offset = max(micros(at), last)
        raw = body if self.head is None else b'%b"received_at":%b,"payload":%b}' % (self.head, msgspec.json.encode(at), body)
        return Message(Position(self.partition, offset), raw, key=self.key.encode(), timestamp_ms=micros(at) // 1000)


def series_of(options: HttpOptions, symbol: str, expiry: date | None) -> Series:
    """A series of which nothing was read yet."""
    values: Values = {**options.values_of(symbol), **({"expiry": expiry} if expiry else {})}
    return Series(symbol, expiry, prepared(options, values), _head(options.envelope, values))


def _head(envelope: Any, values: Values) -> bytes | None:
    if envelope is None:
        return None
    begun = msgspec.json.encode(filled(envelope, values))[:-1]
    return begun if begun == b"{" else begun + b","
