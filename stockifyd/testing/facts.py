"""How a contract's facts run: each on an event loop of its own, bounded in time, without a plugin of pytest."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache, wraps
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar, cast

LIMIT_SECS = 300
"""A fact that takes longer hangs; this is no measure of speed."""

P = ParamSpec("P")
T = TypeVar("T")

_WATCHED = {
    "open",
    "os.listdir",
    "os.mkdir",
    "os.remove",
    "os.scandir",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "sqlite3.connect",
    "subprocess.Popen",
}
_watching: dict[int, list[str]] = {}


def fact(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Turns an `async def test_...` into a plain test."""

    @wraps(test)
    def on_a_loop(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(_bounded(test(*args, **kwargs)))

    return on_a_loop


async def settle(value: T | Awaitable[T]) -> T:
    """A hook's answer, whether the hook is `def` or `async def`."""
    return cast("T", await value if isawaitable(value) else value)


def outside(do: Callable[[], object]) -> list[str]:
    """The files, sockets, folders and programs that a call reaches for, by Python's audit events."""
    _install()
    _watching[threading.get_ident()] = seen = list[str]()
    try:
        do()
    finally:
        del _watching[threading.get_ident()]
    return seen


@cache
def _install() -> None:
    sys.addaudithook(_audit)  # for good: Python knows no way to take one out


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event in _WATCHED and (seen := _watching.get(threading.get_ident())) is not None:
        seen.append(f"{event} {args[0] if args else ''!r}")


async def _bounded(coroutine: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(LIMIT_SECS):
        await coroutine
