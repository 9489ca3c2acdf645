"""Rows that were found a moment ago: so many at most, so long at most."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stockifyd.api import Row


class Remembered:
    """Found rows by key. What is forgotten first is what was not used the longest."""

    def __init__(self, max_rows: int, max_secs: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_rows, self._max_secs, self._clock = max_rows, max_secs, clock
        self._rows: OrderedDict[tuple[Any, ...], tuple[float, Row]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def known(self, keys: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], Row]:
        """Those of the keys whose rows are remembered."""
        if not self._rows:
            return {}
        oldest, found = self._clock() - self._max_secs, dict[tuple[Any, ...], Row]()
        for key in keys:
            if (entry := self._rows.get(key)) is None:
                continue
            if entry[0] <= oldest:
                del self._rows[key]
            else:
                self._rows.move_to_end(key)
                found[key] = entry[1]
        return found

    def remember(self, rows: Mapping[tuple[Any, ...], Row]) -> None:
        """Keep rows that were just found."""
        if not self._max_secs:
            return
        now = self._clock()
        for key, row in rows.items():
            self._rows[key] = (now, row)
            self._rows.move_to_end(key)
        while len(self._rows) > self._max_rows:
            self._rows.popitem(last=False)
