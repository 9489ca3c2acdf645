"""The source `http` keeps the contract of sources."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.vendor import Asked, Reply, Vendor
from stockifyd.api import Message
from stockifyd.testing import SourceContract
from stockifyd_http import Http

SYMBOLS = 20
SECRET = "not-to-be-told"


class Shelf:
    """Answers each symbol's bodies one after another. Which one comes next says the client's ETag: a new client begins anew."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, asked: Asked) -> Reply:
        mine = self.bodies[int(asked.path.rpartition("/")[2]) :: SYMBOLS]
        at = int(asked.headers.get("If-None-Match", '"0"').strip('"'))
        if at >= len(mine):
            return Reply(b"", 304)
        return Reply(json.dumps([mine[at].decode()]).encode(), headers={"ETag": f'"{at + 1}"'})


class TestHttp(SourceContract[Http]):
    """What is fed is what the vendor will answer."""

    source = Http
    bounded = False

    @pytest.fixture(autouse=True)
    def vendor(self) -> Iterator[None]:
        self.shelf = Shelf()
        with Vendor(self.shelf) as self.server:
            yield

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {
            "url": f"{self.server.url}/series/{{number}}",
            "symbols": {f"S{number:02}": {"number": number} for number in range(SYMBOLS)},
            "interval_secs": 0.1,
            "secret_headers": {"Authorization": SECRET},
            "secret_parameters": {"key": SECRET},
            "breaker_failures": 3,
            "breaker_secs": 0.2,
            "tries": 2,
            "retry_first_ms": 1,
        }

    def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
        self.shelf.bodies += bodies

    def extremes(self) -> Sequence[bytes]:
        return ()

    def body(self, message: Message) -> bytes:
        found: list[str] = json.loads(message.raw)
        return found[0].encode()

    def break_it(self, component: Http) -> None:
        self.server.stop()

    def mend_it(self, component: Http) -> None:
        self.server.start()

    async def use(self, component: Http) -> None:
        """A far side that is away is ridden out: a few turns are enough."""
        from stockifyd.testing import MemoryClaims

        async with self.reading(component, MemoryClaims()) as reading:
            for _ in range(5):
                await anext(reading)
