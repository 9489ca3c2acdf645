"""The transform `flatten_chain`: one message becomes rows of `snapshots` and `options`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from operator import attrgetter
from typing import Any

from msgspec.structs import astuple, replace

from stockifyd.api import Batch, Config, Reject, Row, Table, Tables, Transform
from stockifyd_optionchain.chain import Chain, ChainContext, Option
from stockifyd_optionchain.figures import Figures, change_pct, difference, figures, oi_change
from stockifyd_optionchain.reading import chain_of
from stockifyd_optionchain.settlement import moment

SNAPSHOTS = (
    *("timestamp", "symbol_id", "expiry", "exchange", "segment", "spot_price", "spot_change", "spot_change_pct"),
    *Figures._fields,
    *("lot_size", "tick_size", "quality"),
)
OPTIONS = ("timestamp", "symbol_id", *("strike_price" if f == "strike" else f for f in Option.__struct_fields__))

_price_changes, _oi_changes = attrgetter("price_change"), attrgetter("oi_change")
_expiries = attrgetter("expiry")


class FlattenChainOptions(Config, frozen=True):
    """None yet."""


class FlattenChain(Transform[FlattenChainOptions]):
    """Turns canonical option chains into tables `snapshots` (one row for each expiry) and `options` (one row for each option).

    A chain with anything wrong in it is rejected whole. `message.value` stays as it came.
    """

    type = "flatten_chain"

    async def apply(self, batch: Batch) -> Batch:
        """Add both tables; each message is decoded once, and the event loop runs between two of them."""
        snapshots, options = Table(SNAPSHOTS, [], []), Table(OPTIONS, [], [])
        refused: dict[int, str | Reject] = {}
        for index, message in enumerate(batch.messages):
            try:
                of_expiries, of_options = rows_of(chain_of(message))
            except Reject as why:
                refused[index] = why
            else:
                snapshots.rows.extend(of_expiries)
                options.rows.extend(of_options)
            snapshots.ends.append(len(snapshots.rows))
            options.ends.append(len(options.rows))
            await asyncio.sleep(0)
        return batch.with_table("snapshots", snapshots).with_table("options", options).reject(refused)

    def tables(self, before: Tables) -> Tables:
        """Those that come in, `snapshots` and `options`."""
        return {**before, "snapshots": SNAPSHOTS, "options": OPTIONS}


def rows_of(chain: Chain) -> tuple[list[Row], list[Row]]:
    """The rows of `snapshots` and of `options`; Reject if the chain cannot be stored whole."""
    at, today = moment(chain.timestamp)
    head = (at, chain.symbol_id)
    by_expiry = _by_expiry(chain)
    snapshots = [(*head, *row) for row in _snapshots(chain, by_expiry, today)]
    return snapshots, [head + astuple(option) for option in _completed(chain.options)]


def _by_expiry(chain: Chain) -> Mapping[date, list[Option]]:
    """The options of each expiry, in order of expiry; Reject if one option is there twice."""
    options = chain.options
    expiries = list(map(_expiries, options))
    is_one = expiries.count(expiries[0]) == len(expiries)  # half the time of a set of dates
    if is_one:
        # One float stands for strike and side (strikes are above 0): half the time of a set of tuples.
        distinct = len({o.strike if o.option_type == "CE" else -o.strike for o in options})
    else:
        distinct = len({(o.expiry, o.strike, o.option_type) for o in options})
    if distinct < len(options):
        raise Reject(f"options[{_first_twin(options)}]: the same expiry, strike and option_type as an option before it")
    if is_one:
        return {options[0].expiry: options}
    found: defaultdict[date, list[Option]] = defaultdict(list)
    for option in options:
        found[option.expiry].append(option)
    return {expiry: found[expiry] for expiry in sorted(found)}


def _first_twin(options: list[Option]) -> int:
    seen = set[Any]()
    for index, option in enumerate(options):
        key = (option.expiry, option.strike, option.option_type)
        if key in seen:
            return index
        seen.add(key)
    return -1


def _snapshots(chain: Chain, by_expiry: Mapping[date, list[Option]], today: date) -> Iterator[Row]:
    context = chain.context or ChainContext()
    # A context describes one expiry: its figures say nothing of any of several.
    given = context if len(by_expiry) == 1 else ChainContext()
    spot, change, percent = context.spot_price, context.spot_change, context.spot_change_pct
    market = (
        _storable("context.exchange", context.exchange),
        _storable("context.segment", context.segment),
        spot,
        change,
        change_pct(spot, change) if percent is None else percent,
    )
    about = (context.lot_size, context.tick_size, context.quality)
    for expiry, options in by_expiry.items():
        yield (expiry, *market, *figures(options, today, given), *about)


def _completed(options: list[Option]) -> list[Option]:
    """The options with the changes computed that the sender left out and the values before allow."""
    if None in map(_price_changes, options) or None in map(_oi_changes, options):
        return [_with_changes(option) for option in options]
    return options


def _with_changes(option: Option) -> Option:
    price = option.price_change
    if price is None:
        price = difference(option.ltp, option.prev_close)
    return replace(option, price_change=price, oi_change=oi_change(option))


def _storable(path: str, text: str | None) -> str | None:
    """A text, if PostgreSQL can hold it: neither NUL nor half of a surrogate pair."""
    if text is not None and ("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise Reject(f"{path}: a character that no table can hold (NUL or a lone surrogate)")
    return text
