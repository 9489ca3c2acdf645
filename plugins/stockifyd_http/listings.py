"""Which expiries there are: those that the options name, or what the vendor lists, asked again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from stockifyd_http.answers import Trouble
from stockifyd_http.endpoint import Ask, Endpoint
from stockifyd_http.options import Expiries, HttpOptions, Listing
from stockifyd_http.requests import prepared

AGAIN_SECS = 15.0
"""How soon is asked again after an answer that was none."""


class Listings:
    """The expiries of each symbol as they were listed last. `keep` asks for those of one symbol until it is cancelled."""

    def __init__(self, options: HttpOptions, log: logging.Logger) -> None:
        self._options, self._log = options, log
        self._days: dict[str, Sequence[date]] = {}
        self.changed = asyncio.Event()

    def wanted(self, symbol: str, today: date) -> Sequence[date | None]:
        """What is polled of a symbol today; nothing as long as its expiries are not known."""
        expiries: Expiries | None = self._options.expiries
        if expiries is None:
            return (None,)
        left = sorted(day for day in expiries.days or self._days.get(symbol, ()) if day >= today)
        return left[: expiries.nearest]

    async def keep(self, symbol: str, listing: Listing, endpoint: Endpoint) -> None:
        """Ask, remember, and ask again; what is known stays while there is no new answer."""
        loop, request = asyncio.get_running_loop(), prepared(listing, self._options.values_of(symbol))
        was_lost = False
        while True:
            try:
                answer = await endpoint.fetch(Ask(symbol, request, loop.time() + AGAIN_SECS))
                days = days_of(answer.body or b"[]", listing)
            except Trouble as trouble:
                if not was_lost:
                    known = "those known stay" if symbol in self._days else "it is not polled until they are known"
                    self._log.warning("no expiries of %s, %s: %s", symbol, known, trouble.reason)
                was_lost = True
                await asyncio.sleep(AGAIN_SECS)
            else:
                was_lost = False
                if days != self._days.get(symbol):
                    self._days[symbol] = days
                    self.changed.set()
                await asyncio.sleep(listing.refresh_secs)


def days_of(body: bytes, listing: Listing) -> Sequence[date]:
    """The days that an answer lists. Trouble where there is none, or one that is not in the form."""
    found = _at(msgspec.json.decode(body), listing.path.split("."))
    try:
        days = sorted({datetime.strptime(str(text), listing.form).date() for text in found})  # noqa: DTZ007  a day has no zone
    except ValueError as error:
        raise Trouble(
            f"what `path: {listing.path}` finds is no day in the form {listing.form!r}", is_of_endpoint=False
        ) from error
    if not days:
        raise Trouble(f"`path: {listing.path}` finds nothing in the answer", is_of_endpoint=False)
    return days


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """What stands at a path; of a list, in each of its items."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])
