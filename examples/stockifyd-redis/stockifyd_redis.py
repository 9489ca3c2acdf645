"""Keeps the latest row of each key in Redis, as a hash."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

from msgspec import Meta
from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, MovedError, NoPermissionError, RedisError

from stockifyd.api import (
    Batch,
    Component,
    Config,
    Drift,
    Receipt,
    Reject,
    Row,
    Secret,
    Sink,
    Table,
    Tables,
    Unavailable,
    hookimpl,
)

requires_api = 1

ROWS_AT_ONCE = 500
"""One transaction of Redis, and what is packed before others have their turn."""
NOT_FOR_US = (AuthenticationError, AuthorizationError, NoPermissionError, MovedError)

Hash = tuple[bytes, dict[Any, Any]]
"""A key, and bytes by name."""
Positive = Annotated[int, Meta(ge=1)]


class RedisOptions(Config, frozen=True):
    url: Annotated[
        Secret,
        Meta(description="`redis://user:password@host:6379/0`, `rediss://...` with TLS, or `unix:///path`."),
    ]
    key: Annotated[
        list[str],
        Meta(min_length=1, description="Columns whose values name a row's hash: a later row of the same key takes its place."),
    ]
    table: Annotated[str, Meta(description="The table whose rows are kept.")] = "options"
    prefix: Annotated[str, Meta(description="What every key begins with.")] = "stockifyd"
    expire_secs: Annotated[Positive | None, Meta(description="Forget a row that has not come again for so long.")] = None
    timeout_ms: Annotated[Positive, Meta(description="An answer that takes longer counts as none.")] = 5000


class Redis(Sink[RedisOptions]):
    """Keeps the latest row of each key in Redis, as a hash `prefix:value:value`. Writing a row again changes nothing.

    A field is text: numbers as they are written, times and days in ISO 8601, true and false; a null is no field. What Redis
    has answered for lasts as long as Redis keeps it: `appendonly yes` and `appendfsync always`, or a second may be lost.
    """

    type = "redis"
    idempotent = True
    client: Client | None = None

    async def open(self) -> None:
        await self.close()
        secs = self.config.timeout_ms / 1000
        with _told():
            self.client = Client.from_url(
                self.config.url.reveal(), socket_timeout=secs, socket_connect_timeout=secs, retry=Retry(NoBackoff(), 0)
            )
            await self.client.ping()

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables[self.config.table]
        hashes = self._hashes(table)  # all of them before the first is sent: a bad row leaves nothing
        for first in range(0, len(hashes), ROWS_AT_ONCE):
            await self._send(hashes[first : first + ROWS_AT_ONCE])
        return Receipt(rows=len(hashes))

    def wants(self) -> Tables:
        return {self.config.table: ()}

    async def probe(self) -> Sequence[str]:
        with _told():
            found = await self._connected().info("persistence")
        return () if found["aof_enabled"] else ("redis keeps no append-only file: set `appendonly yes`",)

    async def close(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> Client:
        if self.client is None:
            raise Unavailable("redis is not connected")
        return self.client

    async def _send(self, hashes: Sequence[Hash]) -> None:
        with _told():
            async with self._connected().pipeline(transaction=True) as pipe:
                for key, fields in hashes:
                    pipe.delete(key)  # else a field that is null now would stay
                    pipe.hset(key, mapping=fields)
                    if self.config.expire_secs:
                        pipe.expire(key, self.config.expire_secs)
                await pipe.execute()

    def _hashes(self, table: Table) -> list[Hash]:
        try:
            places = [table.columns.index(column) for column in self.config.key]
        except ValueError as error:
            raise Drift(f"table {self.config.table!r} lacks a column of the key: {error}", hint="correct `key`") from error
        names, found = [column.encode() for column in table.columns], list[Hash]()
        for number, row in enumerate(table.rows):
            try:
                fields = {name: _text(value) for name, value in zip(names, row, strict=True) if value is not None}
                found.append((self._key(row, places), fields))
            except (UnicodeEncodeError, LookupError) as error:
                raise Reject(str(error.args[0]), table=self.config.table, row=number) from error
        return found

    def _key(self, row: Row, places: Sequence[int]) -> bytes:
        if any(row[place] is None for place in places):
            raise LookupError("a column of the key is null")
        parts = (_text(row[place]).replace(b"%", b"%25").replace(b":", b"%3A") for place in places)
        return b":".join((self.config.prefix.encode(), *parts))


def _text(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case bool():
            return b"true" if value else b"false"
        case date():  # a time is one too
            return value.isoformat().encode()
    return str(value).encode()


@contextmanager
def _told() -> Iterator[None]:
    """The driver's errors by what they mean; their text may hold a row or a URL, and is left out."""
    try:
        yield
    except NOT_FOR_US as error:
        raise Drift(f"redis refuses us: {type(error).__name__}", hint="correct `url`, or the rights of its user") from error
    except (RedisError, OSError) as error:
        raise Unavailable(f"redis gives no answer, or cannot write: {type(error).__name__}") from error
    except ValueError as error:
        raise Drift("the url is none", hint="write it as redis://user:password@host:6379/0") from error


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Redis]
