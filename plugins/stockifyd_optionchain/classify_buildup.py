"""The transform `classify_buildup`: who built or left positions, option by option."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Batch, Config, Drift, Message, Row, Table, Tables, Transform
from stockifyd_optionchain.buildup import classify
from stockifyd_optionchain.chain import Option
from stockifyd_optionchain.figures import difference, oi_change
from stockifyd_optionchain.pace import flattened
from stockifyd_optionchain.reading import typed
from stockifyd_optionchain.settlement import moment

BUILDUPS = "buildups"
COLUMNS = ("timestamp", "symbol_id", "expiry", "strike_price", "option_type", "price_change", "oi_change", "buildup")
SINCE = (*COLUMNS, "since")
"""Of build-ups against a history: the time of the row that each is against."""
KEY, PAST = ("expiry", "strike_price", "option_type"), ("ltp", "oi", "timestamp")

NOTHING = (None, None, None)

Known = Mapping[tuple[Any, ...], Sequence[Any]]
"""Last price, OI and time of the past, by KEY."""


class ClassifyBuildupOptions(Config, frozen=True):
    """What the changes are against."""

    history: Annotated[
        str | None,
        Meta(
            description="A table that a `lookup` before this one has made, with each option's `ltp`, `oi` and `timestamp` of the "
            "past; default: the previous session, as the message has it (`prev_close`, `prev_oi`).",
            examples=["history"],
        ),
    ] = None
    table: Annotated[
        str, Meta(min_length=1, description="What the table is called. `summarise_chain` weighs the one called `buildups`.")
    ] = BUILDUPS


class ClassifyBuildup(Transform[ClassifyBuildupOptions]):
    """Adds table `buildups`: each option's long or short build-up, long unwinding or short covering; null where neither moved.

    By the change of price and of open interest since the previous session, or since the values of a table `history`. What no
    history is known of has no build-up.
    """

    type = "classify_buildup"

    async def apply(self, batch: Batch) -> Batch:
        """Add the table."""
        history = self._history(batch)

        def rows_of(index: int, message: Message) -> Iterator[Row]:
            chain = typed(message)
            head = (moment(chain.timestamp)[0], chain.symbol_id)
            if history is None:
                return _since_session(head, chain.options)
            return _since(head, chain.options, _known(history, index, chain.symbol_id))

        return await flattened(batch, self.config.table, self._columns, rows_of)

    def tables(self, before: Tables) -> Tables:
        """Those that come in, and the build-ups; ValueError where there are such, or no history, or a column of it is missing."""
        if self.config.table in before:
            raise ValueError(f"table: a table {self.config.table!r} arrives already; name another one")
        if (name := self.config.history) is not None:
            if name not in before:
                raise ValueError(f"history: no table {name!r} arrives here; put a transform that makes it before this one")
            if missing := [column for column in ("symbol_id", *KEY, *PAST) if before[name] and column not in before[name]]:
                raise ValueError(f"history: table {name!r} has no column {missing[0]!r}")
        return {**before, self.config.table: self._columns}

    @property
    def _columns(self) -> tuple[str, ...]:
        return COLUMNS if self.config.history is None else SINCE

    def _history(self, batch: Batch) -> Table | None:
        if self.config.history is None:
            return None
        try:
            return batch.tables[self.config.history]
        except KeyError as error:
            hint = "put a transform that makes it before this one"
            raise Drift(f"no table {self.config.history!r} arrives here", hint=hint) from error


def _known(history: Table, message: int, symbol_id: int) -> Known:
    """The past of a message's options; of several rows of an option the last one counts."""
    index = history.columns.index
    symbol, key, past = index("symbol_id"), itemgetter(*map(index, KEY)), itemgetter(*map(index, PAST))
    return {key(row): past(row) for row in history.of_message(message) if row[symbol] == symbol_id}


def _since_session(head: tuple[datetime, int], options: Iterable[Option]) -> Iterator[Row]:
    """By what the options say of the previous session."""
    for option in options:
        ltp = option.ltp or None  # 0 is no price
        moved, built = option.price_change, oi_change(option)
        if moved is None or ltp is None:
            moved = difference(ltp, option.prev_close or None)
        yield (*head, option.expiry, option.strike, option.option_type, moved, built, classify(moved, built))


def _since(head: tuple[datetime, int], options: Iterable[Option], past: Known) -> Iterator[Row]:
    """By what is known of the past. Names for what is used twice, and no function for an option: there are 500 in a chain."""
    timestamp, symbol_id = head
    for option in options:
        expiry, strike, side, oi = option.expiry, option.strike, option.option_type, option.oi
        before, held, since = past.get((expiry, strike, side), NOTHING)
        moved = difference(option.ltp, float(before)) if before and option.ltp else None  # 0 is no price
        built = None if oi is None or held is None else oi - int(held)
        yield timestamp, symbol_id, expiry, strike, side, moved, built, classify(moved, built), since
