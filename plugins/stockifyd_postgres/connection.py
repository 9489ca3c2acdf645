"""One connection to PostgreSQL that survives a pooler: explicit transactions, nothing prepared, every wait bounded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from stockifyd.api import Drift, Row
from stockifyd_postgres.address import Address
from stockifyd_postgres.encoding import END, SIGNATURE
from stockifyd_postgres.errors import Lost, classify
from stockifyd_postgres.options import ConnectionOptions

if TYPE_CHECKING:  # imported where it is needed: `stockifyd validate` imports this module
    import asyncpg

T = TypeVar("T")
GRACE_SECS = 10.0
"""What an await has on top of the server's own statement_timeout: the server's answer is the better one."""
LOOK_SECS = 1.0
"""How often an await looks whether its connection still lives."""


class Transaction:
    """What runs between BEGIN and COMMIT. Left without `commit`, it is rolled back."""

    def __init__(self, session: Session, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._session, self._connection = session, connection
        self.table = ""
        """The batch's table under way, and the first row of its COPY: for the error to name."""
        self.first_row = 0
        self.on_sent: Callable[[], None] | None = None
        """Called when a COPY has begun: whoever works from now on gives way to what is left of it."""
        self.committed = False
        self.pid = 0
        """The backend that serves this transaction, once the ledger was read: what a pooler tells at connect is invented."""

    @property
    def address(self) -> Address:
        """Where it is."""
        return self._session.address

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement; answers with the number of rows its command tag tells, 0 if none."""
        tag = await self._session.bounded(self._connection.execute(sql, *arguments))
        last = tag.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        return await self._session.bounded(self._connection.fetch(sql, *arguments))

    async def value(self, sql: str, *arguments: Any) -> Any:
        return await self._session.bounded(self._connection.fetchval(sql, *arguments))

    async def copy(self, target: tuple[str, str], columns: Sequence[str], rows: list[Row]) -> None:
        """COPY of a list: a generator would hang asyncpg where the link breaks. An empty schema means the search_path."""
        schema, table = target
        await self._session.bounded(
            self._connection.copy_records_to_table(table, schema_name=schema or None, columns=columns, records=rows)
        )

    async def copy_encoded(self, target: tuple[str, str], columns: Sequence[str], blocks: Sequence[bytes]) -> None:
        """COPY of rows that `encoding` made, at least one block, all of them in memory. The server starts on the first block."""
        schema, table = target
        source = _in_turn([SIGNATURE + blocks[0], *blocks[1:], END], self.on_sent)
        await self._session.bounded(
            self._connection.copy_to_table(
                table,
                schema_name=schema or None,
                columns=list(columns),
                source=source,
                format="binary",
            )
        )

    async def commit(self) -> None:
        """COMMIT; Lost where the answer did not come: then only the ledger knows."""
        self.table = ""
        tag = await self._session.bounded(self._connection.execute("COMMIT"))
        if tag != "COMMIT":  # a failed transaction answers COMMIT with ROLLBACK, and with no error
            raise Lost("the transaction had failed and was rolled back at COMMIT")
        self.committed = True


class Session:
    """Opens its connection when it is needed, and again when it was lost. Callers take turns."""

    def __init__(self, address: Address, options: ConnectionOptions, *, application: str, log: logging.Logger) -> None:
        self.address, self.options, self.log = address, options, log
        self.application = application.replace("'", "").replace("\\", "")[:63]
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()

    @property
    def begin(self) -> str:
        """BEGIN and its settings in one round trip. SET LOCAL: a pooler gives the server to another after COMMIT."""
        settings = {**self.options.settings, "application_name": f"'{self.application}'"}
        return "BEGIN; " + "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())

    def twin(self) -> Session:
        """Another session to the same place: to look at the first one from outside."""
        return Session(self.address, self.options, application=self.application, log=self.log)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction at READ COMMITTED; what goes wrong inside comes out as one of the API's errors."""
        async with self._turn:
            connection = await self._begun()
            transaction = Transaction(self, connection)
            try:
                yield transaction
            except Exception as error:
                gone = connection.is_closed()
                await self._roll_back()
                better = classify(error, gone=gone, table=transaction.table, first_row=transaction.first_row)
                if isinstance(better, Lost):
                    self.terminate()
                if better is error:
                    raise
                raise better from error
            except BaseException:
                self.terminate()  # cancelled: a ROLLBACK over a dead link could hang, closing it cannot
                raise
            if not transaction.committed:
                await self._roll_back()

    async def _begun(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection with a transaction begun; one that was lost while it lay idle is replaced without a word."""
        reused = not self._gone
        try:
            connection = await self._connected()
            await self.bounded(connection.execute(self.begin))
        except Exception as error:
            better = classify(error, gone=self._gone)
            self.terminate()
            if reused and isinstance(better, Lost):
                return await self._begun()
            if better is error:
                raise
            raise better from error
        except BaseException:
            self.terminate()
            raise
        return connection

    async def bounded(self, awaitable: Awaitable[T], limit_secs: float = 0.0) -> T:
        """Await with a limit of our own; past it the connection is terminated.

        A link may swallow everything and stay open. And asyncpg waits for ever in a COPY whose peer stopped reading, even
        when the connection is gone: so look, and cancel what a dead connection leaves behind.
        """
        task = asyncio.ensure_future(awaitable)
        limit_secs = limit_secs or self.options.statement_timeout_ms / 1000 + GRACE_SECS
        deadline = asyncio.get_running_loop().time() + limit_secs
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_SECS)
                late = asyncio.get_running_loop().time() >= deadline
                if not task.done() and (late or self._gone):
                    await self._abandon(task)
                    raise Lost("the database did not answer in time" if late else "the connection to the database was lost")
        except asyncio.CancelledError:
            await self._abandon(task)
            raise
        return task.result()

    def terminate(self) -> None:
        """Abort the connection; the next transaction opens another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Close in good order if that is quick."""
        connection, self._connection = self._connection, None
        if connection is not None:
            import asyncpg  # noqa: PLC0415  see above

            with suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError, asyncpg.InternalClientError):
                # a connection that cannot say good-bye is as closed as one that did: asyncpg aborts it at the timeout
                await connection.close(timeout=2)

    @property
    def pid(self) -> int:
        """The backend's id as the connection was told; a pooler invents it."""
        return self._connection.get_server_pid() if self._connection is not None else 0

    @property
    def _gone(self) -> bool:
        return self._connection is None or self._connection.is_closed()

    async def _abandon(self, task: asyncio.Future[Any]) -> None:
        self.terminate()
        await asyncio.wait({task}, timeout=0.2)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        if task.done() and not task.cancelled():
            task.exception()  # retrieved: that the connection is gone says it all

    async def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed():
            self.terminate()
            return
        if not connection.is_in_transaction():
            return
        try:
            await self.bounded(connection.execute("ROLLBACK"), GRACE_SECS)
        except Exception as error:  # noqa: BLE001 - the error that led here is the one to tell
            self.log.debug("rollback failed, the connection is given up", extra={"error": type(error).__name__})
            self.terminate()

    async def _connected(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        import asyncpg  # noqa: PLC0415  see above

        self.terminate()
        arguments = self.address.arguments()
        try:
            # PgBouncer: no statement may outlive its transaction, so none is cached
            self._connection = await asyncpg.connect(
                **arguments, statement_cache_size=0, timeout=self.options.connect_timeout_secs
            )
        except asyncpg.ClientConfigurationError as error:
            raise Drift(f"the database's address cannot be used: {error}", hint="see `database` of the sink") from error
        except Exception as error:
            better = classify(error, gone=False)
            if isinstance(better, Lost):
                what = str(error) or f"no answer within {self.options.connect_timeout_secs:g} s"
                better = Lost(f"{self.address}: {type(error).__name__}: {what}".splitlines()[0])
            raise better from error
        return self._connection


async def _in_turn(parts: Sequence[bytes], on_sent: Callable[[], None] | None) -> AsyncIterator[bytes]:
    yield parts[0]
    if on_sent is not None:
        on_sent()
    for part in parts[1:]:
        yield part
