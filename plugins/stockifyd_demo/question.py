"""A question to the database, and its answer for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

QUESTION = """\
SELECT symbol_id, c."timestamp", expiry, s.spot_price, s.max_pain_strike,
       sum(oi) FILTER (WHERE option_type = 'PE')::float / sum(oi) FILTER (WHERE option_type = 'CE') AS pcr_oi,
       (array_agg(strike_price ORDER BY oi DESC) FILTER (WHERE option_type = 'PE'))[1] AS most_puts,
       (array_agg(strike_price ORDER BY oi DESC) FILTER (WHERE option_type = 'CE'))[1] AS most_calls
FROM (SELECT DISTINCT ON (symbol_id, "timestamp"::date) * FROM market_snapshots
      ORDER BY symbol_id, "timestamp"::date, "timestamp" DESC, expiry) s
JOIN option_contracts c USING (symbol_id, expiry, "timestamp")
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2;"""

COLUMNS = ("underlying", "chain of (UTC)", "expiry", "spot", "PCR by OI", "max pain", "most put OI", "most call OI")


async def ask(connection: asyncpg.Connection, symbols: Mapping[int, str]) -> list[list[str]]:
    """The answer, a row for the last chain of each underlying's nearest expiry, on each day."""
    return [_row(record, symbols) for record in await connection.fetch(QUESTION)]


def _row(r: Any, symbols: Mapping[int, str]) -> list[str]:
    symbol = symbols.get(r["symbol_id"], str(r["symbol_id"]))
    numbers = [_number(r["spot_price"], 2), _number(r["pcr_oi"], 4)]
    strikes = [_number(r[name], 0) for name in ("max_pain_strike", "most_puts", "most_calls")]
    return [symbol, f"{r['timestamp']:%Y-%m-%d %H:%M}", str(r["expiry"]), *numbers, *strikes]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
