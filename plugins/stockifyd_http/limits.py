"""How often may be asked: at most so many requests in a time, of one symbol or of all, and so many at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from stockifyd_http.options import Limit


@dataclass(slots=True)
class Gate:
    """Lets at most `requests` pass in any `per_secs`; whoever waits here waits in turn."""

    requests: int
    per_secs: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    passed: deque[float] = field(default_factory=deque)

    def free_at(self) -> float:
        """When the next may pass, by the event loop's clock."""
        return self.passed[0] + self.per_secs if len(self.passed) >= self.requests else 0.0

    def passes(self, at: float) -> None:
        """One has passed."""
        self.passed.append(at)
        while len(self.passed) > self.requests:
            self.passed.popleft()


class Limits:
    """All limits of one vendor. Those of all symbols are shared by all instances: each keeps its part of them.

    `turn` gives the turn to send; TimeoutError where it would come after `until` (the event loop's clock).
    """

    def __init__(self, limits: Sequence[Limit], connections_max: int, total_instances: int) -> None:
        self._of_symbol = [limit for limit in limits if limit.scope == "symbol"]
        self._of_all = [Gate(one.requests, one.per_secs * total_instances) for one in limits if one.scope == "all"]
        self._gates: defaultdict[str, list[Gate]] = defaultdict(self._gates_of_symbol)
        self._connections = asyncio.Semaphore(connections_max)

    @asynccontextmanager
    async def turn(self, symbol: str, until: float) -> AsyncIterator[None]:
        """The block may send one request. What is sent is counted when it is sent, not when it was wished for."""
        async with AsyncExitStack() as connection:
            async with asyncio.timeout_at(until), AsyncExitStack() as locks:
                mine = self._gates[symbol]
                for gate in mine:
                    await self._passed_by(gate, locks, until)
                await connection.enter_async_context(self._connections)
                for gate in self._of_all:
                    await self._passed_by(gate, locks, until)
                now = asyncio.get_running_loop().time()
                for gate in (*mine, *self._of_all):
                    gate.passes(now)
            yield

    async def _passed_by(self, gate: Gate, locks: AsyncExitStack, until: float) -> None:
        await locks.enter_async_context(gate.lock)
        if (free_at := gate.free_at()) > until:
            raise TimeoutError
        if (left := free_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)

    def _gates_of_symbol(self) -> list[Gate]:
        return [Gate(limit.requests, limit.per_secs) for limit in self._of_symbol]
