"""The circuit breaker of one endpoint: after failures in a row nothing is sent for a while, then one request tries."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stockifyd_http.answers import Trouble


class Breaker:
    """Says once when the endpoint is away, and once when it is back."""

    def __init__(
        self, name: str, log: logging.Logger, *, failures: int, pause_secs: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._log, self._clock = name, log, clock
        self._most, self._pause = failures, pause_secs
        self._failures = 0
        self._since = self._shut_until = 0.0
        self._reason = ""
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the endpoint is taken to be away."""
        return bool(self._reason)

    def pause_left(self) -> float:
        """Seconds that a server which is not away wants to be left alone."""
        return 0.0 if self.is_open else max(0.0, self._shut_until - self._clock())

    def refusal(self) -> str:
        """Why nothing may be sent now; empty where it may. Of those that ask when the pause is over, one may."""
        if self._clock() < self._shut_until or (self.is_open and self._trying):
            return (
                f"not asked, since the endpoint is away: {self._reason}"
                if self._reason
                else "not asked, since the server wants a pause"
            )
        self._trying = self.is_open
        return ""

    def worked(self) -> None:
        """A request was answered."""
        if self.is_open:
            self._log.info("%s is back after %.1f s", self._name, self._clock() - self._since)
        self._failures, self._reason, self._trying = 0, "", False

    def failed(self, trouble: Trouble) -> None:
        """A request was not. One that says nothing of the endpoint, but of what was asked for, only gives the try back.

        A pause that the server asks for is kept by all requests.
        """
        self._trying = False
        if trouble.retry_after is not None:
            self._wait(trouble.retry_after)
        if not trouble.is_of_endpoint:
            return
        self._failures += 1
        if self._failures < self._most:
            return
        self._wait(self._pause)
        if not self.is_open:
            self._since = self._clock()
            self._say(trouble)
        self._reason = trouble.reason

    def gave_up(self) -> None:
        """The request that was let through never came to an answer: it was cancelled."""
        self._trying = False

    def _wait(self, secs: float) -> None:
        self._shut_until = max(self._shut_until, self._clock() + secs)

    def _say(self, trouble: Trouble) -> None:
        text = "%s is away after %d failures in a row, and tried again every %g s: %s"
        if trouble.hint:
            self._log.error(f"{text}\n  HINT: %s", self._name, self._failures, self._pause, trouble.reason, trouble.hint)
        else:
            self._log.warning(text, self._name, self._failures, self._pause, trouble.reason)
