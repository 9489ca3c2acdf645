"""A checksum of the rows of one chain, computed of what was sent and, by PostgreSQL itself, of what is stored."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

FLOATS = ("ltp", "bid", "ask", "prev_close", "iv", "delta", "gamma", "theta", "vega", "rho")
INTEGERS = ("bid_qty", "ask_qty", "volume", "prev_volume", "oi", "prev_oi")
"""All that a message says of an option; what is computed of these where the sender left it out is not among them."""

NULL = b"\0"
_float, _integer = struct.Struct(">d").pack, struct.Struct(">q").pack
_whole = struct.Struct(f">d2s{len(FLOATS)}d{len(INTEGERS)}q").pack
_floats, _integers = itemgetter(*FLOATS), itemgetter(*INTEGERS)


def checksum(options: Iterable[Mapping[str, Any]]) -> bytes:
    """Of what was sent: SHA-256 over strike, side and values, as PostgreSQL's binary form has them."""
    return hashlib.sha256(b"".join(map(_packed, sorted(options, key=itemgetter("strike", "option_type"))))).digest()


def _packed(option: Mapping[str, Any]) -> bytes:
    strike, side = option["strike"], option["option_type"].encode()
    try:
        return _whole(strike, side, *_floats(option), *_integers(option))
    except (KeyError, struct.error):  # something is absent or null
        parts = [_float(strike), side]
        parts += [NULL if (x := option.get(name)) is None else _float(x) for name in FLOATS]
        parts += [NULL if (x := option.get(name)) is None else _integer(x) for name in INTEGERS]
        return b"".join(parts)


def sql() -> str:
    """Of what is stored: an aggregate over the rows of one chain."""
    null = r"'\x00'::bytea"
    parts = ["float8send(strike_price)", "convert_to(option_type, 'UTF8')"]
    parts += [f"coalesce(float8send({name}), {null})" for name in FLOATS]
    parts += [f"coalesce(int8send({name}), {null})" for name in INTEGERS]
    return f"sha256(string_agg({' || '.join(parts)}, ''::bytea ORDER BY strike_price, option_type))"
