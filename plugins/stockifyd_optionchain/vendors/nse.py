"""NSE's answer to `option-chain-indices`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import msgspec

from stockifyd.api import Reject
from stockifyd_optionchain.chain import Option, OptionType, Strike
from stockifyd_optionchain.figures import INDIA
from stockifyd_optionchain.instruments import Instrument
from stockifyd_optionchain.reading import decoded
from stockifyd_optionchain.vendors.envelope import Envelope, Quotes
from stockifyd_optionchain.vendors.units import (
    Contracts,
    ContractsChange,
    Count,
    Percent,
    Rupees,
    RupeesChange,
    decimals,
    fraction,
    whole,
)

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Side(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """The call or the put of a strike.

    Open interest and volume are contracts; the quantities of bid and ask are units already. `change` is since the previous close.
    """

    open_interest: Contracts
    changein_open_interest: ContractsChange
    total_traded_volume: Contracts
    implied_volatility: Percent
    last_price: Rupees
    change: RupeesChange
    bid_qty: Count
    bidprice: Rupees
    ask_qty: Count
    ask_price: Rupees
    underlying_value: Rupees | None = None


class StrikeRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Both options of a strike and an expiry, which is such as `24-Nov-2026`."""

    strike_price: Strike = msgspec.field(name="strikePrice")
    expiry_date: str = msgspec.field(name="expiryDate")
    call: Side | None = msgspec.field(default=None, name="CE")
    put: Side | None = msgspec.field(default=None, name="PE")


class Records(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """All expiries; `timestamp` is the exchange's, in India: `23-Nov-2026 09:15:00`."""

    underlying_value: Rupees
    timestamp: str
    data: list[StrikeRow]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The whole answer."""

    records: Records


_answers = msgspec.json.Decoder(Answer)


def quotes(envelope: Envelope, instrument: Instrument) -> Quotes:
    """The options of the expiry that was asked for; counts of contracts become units by the instrument's lot."""
    if instrument.lot_size is None:
        raise Reject("symbol: the instruments file has no lot_size of it, and NSE counts contracts")
    records = decoded(_answers, envelope.payload, part="payload").records
    wanted = in_words(envelope.expiry)
    rows = [row for row in records.data if row.expiry_date == wanted]
    options = [option for row in rows for option in _options(envelope.expiry, row, instrument.lot_size)]
    if not options:
        raise Reject("payload: records.data: no option of the expiry that was asked for")
    return Quotes(_instant(records.timestamp), records.underlying_value, options)


def in_words(day: date) -> str:
    """A day as NSE writes it, whatever the machine's language."""
    return f"{day.day:02}-{MONTHS[day.month - 1]}-{day.year}"


def _instant(text: str) -> datetime:
    try:
        day, clock = text.split(" ")
        number, month, year = day.split("-")
        hour, minute, second = map(int, clock.split(":"))
        at = datetime(int(year), MONTHS.index(month) + 1, int(number), hour, minute, second, tzinfo=INDIA)
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Reject("payload: records.timestamp: expected a time such as 23-Nov-2026 09:15:00") from error


def _options(expiry: date, row: StrikeRow, lot: int) -> Iterator[Option]:
    if row.call is not None:
        yield _option(expiry, row, "CE", side=row.call, lot=lot)
    if row.put is not None:
        yield _option(expiry, row, "PE", side=row.put, lot=lot)


def _option(expiry: date, row: StrikeRow, option_type: OptionType, *, side: Side, lot: int) -> Option:
    oi, moved = whole("openInterest", side.open_interest), whole("changeinOpenInterest", side.changein_open_interest)
    ltp = side.last_price or None
    close = None if ltp is None else decimals(ltp - side.change)
    return Option(
        expiry,
        row.strike_price,
        option_type,
        ltp,
        side.bidprice,
        side.ask_price,
        whole("bidQty", side.bid_qty),
        whole("askQty", side.ask_qty),
        close if close and close > 0 else None,
        None if ltp is None else decimals(side.change),
        whole("totalTradedVolume", side.total_traded_volume) * lot,
        None,
        oi * lot,
        # More gone than there was: check_chain says so, of oi and oi_change.
        (oi - moved) * lot if moved <= oi else None,
        moved * lot,
        fraction(side.implied_volatility),
    )
