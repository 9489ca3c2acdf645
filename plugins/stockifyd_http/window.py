"""When a market trades, as an option says it: days of the week, and times of the day."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same hours on each of some days of the week."""

    open: Annotated[str, Meta(description="From this time of the day on.", examples=["09:15"])]
    close: Annotated[str, Meta(description="Until this one, at which nothing is polled any more.", examples=["15:30"])]
    timezone: Annotated[str, Meta(description="The zone of both, and of the days.", examples=["Asia/Kolkata"])]
    weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1, description="On these days.")] = WEEKDAYS[:5]

    def __post_init__(self) -> None:
        for name in ("open", "close"):
            if not _HOUR.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)!r} is no time of the day, such as 09:15")
        if self.open >= self.close:
            raise ValueError(f"close: {self.close} is not after {self.open}, when it opens")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"timezone: {self.timezone!r} is not known, write such as Asia/Kolkata") from error

    @property
    def zone(self) -> tzinfo:
        """Where the times are right."""
        return ZoneInfo(self.timezone)

    def holds(self, at: datetime) -> bool:
        """Whether the market trades at an instant."""
        there = at.astimezone(self.zone)
        return WEEKDAYS[there.weekday()] in self.weekdays and self.open <= f"{there:%H:%M}" < self.close
