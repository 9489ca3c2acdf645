"""Links that break, commits that are not answered, servers that crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit.pgbouncer import PgBouncer
from kit.postgres import PostgresServer
from kit.postgres_sink import TOPIC, make_sink, migrate, options_batch
from kit.proxy import PostgresProxy, commit, copy_data, swap
from stockifyd.api import Fenced, Receipt, Retry, Unavailable
from stockifyd_postgres import connection, wire

COUNT = "SELECT count(*) FROM option_contracts"


@pytest.fixture
async def proxy(market: Any) -> AsyncIterator[PostgresProxy]:
    """A proxy before PgBouncer."""
    async with PostgresProxy(market.pooler.port) as between:
        yield between


@pytest.fixture
async def sink(opened: Any, market: Any, proxy: PostgresProxy) -> Any:
    """A sink through the proxy, that owns the partition and has written once."""
    made = await opened(url=market.url_at(proxy.port))
    await made.claim({TOPIC: 0})
    await made.write(options_batch(0, 1))
    return made


async def test_a_commit_that_took_effect_unanswered_is_durable(sink: Any, proxy: PostgresProxy, market: Any) -> None:
    """The reply to COMMIT is dropped: the ledger says that it took effect, and the batch is not written twice."""
    proxy.cut(commit, "after")
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)
    assert (proxy.cuts, market.sql(COUNT), await sink.stored([TOPIC])) == (1, "8", {TOPIC: 2})


async def test_a_commit_that_never_arrived_is_tried_again(sink: Any, proxy: PostgresProxy, market: Any) -> None:
    """The COMMIT itself is dropped: the ledger has not moved, so the batch is written again, once."""
    proxy.cut(commit, "before")
    with pytest.raises(Retry):
        await sink.write(options_batch(1, 1))
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)
    assert (proxy.cuts, market.sql(COUNT)) == (1, "8")


async def test_a_commit_in_doubt_is_remembered(sink: Any, proxy: PostgresProxy, market: Any) -> None:
    """The database is away when the outcome would be read: the next write of the same batch finds it done."""
    proxy.cut(commit, "after")
    connecting = asyncio.ensure_future(sink.write(options_batch(1, 1)))
    while not proxy.cuts:
        await asyncio.sleep(0)
    proxy.refuse = True
    with pytest.raises(Unavailable):
        await connecting
    proxy.refuse = False
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)
    assert market.sql(COUNT) == "8"


async def test_a_commit_in_doubt_after_another_claimed_is_fenced(sink: Any, proxy: PostgresProxy, opened: Any) -> None:
    """Somebody else owns the partition by the time the outcome is read: not ours any more."""
    proxy.cut(commit, "before")
    with pytest.raises(Retry):
        await sink.write(options_batch(1, 1))
    await (await opened()).claim({TOPIC: 0})
    with pytest.raises(Fenced):
        await sink.write(options_batch(1, 1))


@pytest.mark.parametrize("at", [copy_data, swap])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_link_lost_before_commit_leaves_nothing(sink: Any, proxy: PostgresProxy, market: Any, at: Any, when: Any) -> None:
    """Cut in COPY or at the swap: Unavailable, nothing stored, and the same batch succeeds on a new connection."""
    proxy.cut(at, when)
    with pytest.raises(Unavailable):
        await sink.write(options_batch(1, 4, rows=500))
    assert await sink.write(options_batch(1, 4, rows=500)) == Receipt(rows=2000)
    assert (proxy.cuts, market.sql(COUNT)) == (1, "2004")


async def test_an_idle_connection_that_was_lost_is_replaced(sink: Any, proxy: PostgresProxy) -> None:
    """A pooler that was restarted meanwhile is no error."""
    proxy.reset_links()
    assert await sink.stored([TOPIC]) == {TOPIC: 1}


async def test_a_link_that_swallows_everything_ends(sink: Any, proxy: PostgresProxy, monkeypatch: Any) -> None:
    """Nothing answers and nothing closes: our own bound ends the wait."""
    monkeypatch.setattr(connection, "GRACE_SECS", 0.2)
    object.__setattr__(
        sink.store.session,
        "options",
        type(sink.config)(tables=sink.config.tables, statement_timeout_ms=300, connect_timeout_secs=0.5),
    )
    proxy.swallow = True
    with pytest.raises(Unavailable):
        await sink.write(options_batch(1, 1))
    proxy.swallow = False
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)


async def test_a_peer_that_stops_reading_in_copy_ends(sink: Any, proxy: PostgresProxy, monkeypatch: Any) -> None:
    """asyncpg waits for ever in a COPY whose peer reads no more, even terminated: the wait is cancelled."""
    monkeypatch.setattr(connection, "GRACE_SECS", 0.5)
    object.__setattr__(sink.store.session, "options", type(sink.config)(tables=sink.config.tables, statement_timeout_ms=1000))
    monkeypatch.setattr(wire, "ROWS_A_COPY", 10**9)  # more in one COPY than the kernel's buffers hold
    proxy.bandwidth = 1000
    with pytest.raises(Unavailable):
        await sink.write(options_batch(1, 400, rows=500))
    assert [task for task in asyncio.all_tasks() if "copy_to_table" in repr(task)] == []
    proxy.reset_links()
    proxy.bandwidth = 0
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)


async def test_a_cancelled_write_leaves_nothing(sink: Any, market: Any) -> None:
    """Cancelled in the middle of COPY: not written, and the sink works on."""
    writing = asyncio.ensure_future(sink.write(options_batch(1, 40, rows=500)))
    await asyncio.sleep(0.05)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await sink.stored([TOPIC]) == {TOPIC: 1}
    assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)


async def test_progress_while_backends_are_terminated(sink: Any, market: Any) -> None:
    """Whoever is cut off tries again; each message is stored once."""
    done = asyncio.Event()

    async def terminate() -> None:
        while not done.is_set():
            others = f"datname = '{market.name}' AND pid <> pg_backend_pid()"
            ask = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"
            await asyncio.to_thread(market.server.sql, ask)
            await asyncio.sleep(0.1)

    killer = asyncio.create_task(terminate())
    offset = 1
    while offset < 40:
        try:
            await sink.write(options_batch(offset, 1, rows=100))
        except (Unavailable, Retry):
            await asyncio.sleep(0.02)
        else:
            offset += 1
    done.set()
    await killer
    assert market.sql(COUNT) == str(4 + 39 * 100)


async def test_crash_of_the_server_and_the_pooler() -> None:
    """Both are killed and come back: Unavailable meanwhile, and then the same batch is stored."""
    from kit.fixtures_postgres import WRITER, Database

    with PostgresServer() as server, PgBouncer(server) as pooler:
        server.create_role(WRITER)
        server.create_database("crash")
        database = Database(server, pooler, "crash")
        sink = make_sink(database, connect_timeout_secs=2)
        await migrate(database, sink)
        await sink.open()
        await sink.claim({TOPIC: 0})
        await sink.write(options_batch(0, 1))
        pooler.kill()
        with pytest.raises(Unavailable):
            await sink.write(options_batch(1, 1))
        server.kill()
        server.start()
        pooler.start()
        assert await sink.write(options_batch(1, 1)) == Receipt(rows=4)
        assert database.sql(COUNT) == "8"
        await sink.close()
