"""Rows that `pipelines/historical.yaml` exports, out of its file and out of the table: what is compared of them."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import NamedTuple

TABLE = """COPY (SELECT "timestamp", expiry, symbol_id, strike_price, option_type, ltp, oi, iv FROM option_contracts
WHERE "timestamp" >= '{begin}' AND "timestamp" < '{end}' ORDER BY "timestamp", symbol_id, expiry, strike_price, option_type)
TO STDOUT WITH (FORMAT csv, HEADER)"""


class Row(NamedTuple):
    """An option, and what says whether it is the right one."""

    timestamp: datetime
    expiry: str
    option_type: str
    symbol_id: float | None
    strike_price: float | None
    ltp: float | None
    oi: float | None
    iv: float | None


def table(begin: object = "-infinity", end: object = "infinity") -> str:
    """What psql is asked for: the table's rows of an interval, in the order of time."""
    return TABLE.format(begin=begin, end=end)


def rows_of(text: str) -> list[Row]:
    """Rows of CSV, with what they mean: times, numbers as floats, empty ones as None."""
    return [
        Row(
            datetime.fromisoformat(row["timestamp"]),
            row["expiry"],
            row["option_type"],
            *(float(row[name]) if row[name] else None for name in Row._fields[3:]),
        )
        for row in csv.DictReader(io.StringIO(text))
    ]
