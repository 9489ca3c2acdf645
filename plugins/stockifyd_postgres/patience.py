"""An end to waiting for a server: its connection is cut, and whoever waits for it is told that it is lost."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from stockifyd_postgres.connection import Session


class Patience:
    """Cuts a session's connection unless it is told to wait on, or left, in time.

    A dead server behind a living pooler does not refuse: the pooler takes the question, and says nothing.
    """

    def __init__(self, session: Session, secs: float) -> None:
        self._session, self._secs = session, secs
        self._handle: asyncio.TimerHandle | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        self.wait(self._secs)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def wait(self, secs: float) -> None:
        """From now on, so long."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_later(secs, self._end)

    def _end(self) -> None:
        self.is_over = True
        self._session.terminate()
