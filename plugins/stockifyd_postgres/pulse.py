"""The primary's heartbeat: stamped there every second, and the primary's clock as it was seen."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime, timedelta

from stockifyd.api import StockifydError
from stockifyd_postgres.address import Address
from stockifyd_postgres.connection import Session
from stockifyd_postgres.lookup_options import PulseOptions

BEAT_SECS = 1.0
BEAT = "SELECT beat_at, lsn FROM stockifyd.beat()"


class Pulse:
    """Beats at the primary. What time it is there is known from the first beat on, whatever becomes of it.

    A replica's lag is told by the primary's clock alone: how two machines' clocks differ does not matter.
    """

    def __init__(self, address: Address, *, application: str, log: logging.Logger) -> None:
        options = PulseOptions(connect_timeout_secs=3.0, statement_timeout_ms=3000, lock_timeout_ms=1000)
        self._session = Session(address, options, application=f"{application} heartbeat", log=log)
        self._log = log
        self._seen: tuple[datetime, float] | None = None
        self._is_well = True
        self._lsn = 0

    def lag_ms(self, beat_at: datetime) -> float | None:
        """How far behind it is who has this beat, at most; None where the primary has never been heard."""
        if self._seen is None:
            return None
        at, when = self._seen
        return max(0.0, (at + timedelta(seconds=time.monotonic() - when) - beat_at) / timedelta(milliseconds=1))

    def bytes_behind(self, replayed: int) -> int:
        """How many bytes of the primary's log were not replayed at the last beat."""
        return max(0, self._lsn - replayed)

    async def beat(self) -> None:
        """Stamp the row, and see what time it is there. A primary that is away is told once, and once when it is back."""
        asked = time.monotonic()  # before the question: a lag is rather told too long than too short
        try:
            async with self._session.transaction() as transaction:
                row = (await transaction.fetch(BEAT))[0]
                await transaction.commit()
        except StockifydError as error:
            if self._is_well:
                self._log.warning(
                    "the heartbeat at %s fails: %s; replicas count as lagging until it is back",
                    self._session.address,
                    error.reason,
                )
            self._is_well = False
            return
        self._seen, self._lsn = (row["beat_at"], asked), row["lsn"]
        if not self._is_well:
            self._log.info("the heartbeat at %s is back", self._session.address)
        self._is_well = True

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECS)
            await self.beat()

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()
