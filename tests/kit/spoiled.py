"""Ways to spoil a good chain, so that it can never be stored."""

from __future__ import annotations

import json
import random
from typing import Any


def changed(value: bytes, **changes: Any) -> bytes:
    """A good chain with other fields."""
    return json.dumps({**json.loads(value), **changes}).encode()


def with_option(value: bytes, number: int, **changes: Any) -> bytes:
    """A good chain with one option changed."""
    chain = json.loads(value)
    chain["options"][number] |= changes
    return json.dumps(chain).encode()


def spoiled(value: bytes, chance: random.Random) -> dict[str, bytes]:
    """Nine ways to spoil a chain; nine, since ten in a short time are drift."""
    bad_row = chance.randrange(len(json.loads(value)["options"]))
    return {
        "truncated": value[: chance.randrange(1, len(value))],
        "NUL": value.replace(b'"NSE"', b'"N\\u0000SE"'),
        "surrogate": value.replace(b'"NSE"', b'"\\ud800"'),
        "NaN": with_option(value, bad_row, ltp=float("nan")),
        "2^63": with_option(value, bad_row, oi=2**63),
        "naive time": changed(value, timestamp="2026-11-23T04:00:00"),
        "empty": b"",
        "wrong root": b"[1, 2, 3]",
        "one bad row": with_option(value, bad_row, strike=-50.0),
    }
