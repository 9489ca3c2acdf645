"""The instruments file: what each symbol is, which vendors do not say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from stockifyd_optionchain.chain import Number, Price
from stockifyd_optionchain.reading import reason_of

Lot = Annotated[int, Meta(ge=1, le=1_000_000)]


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An underlying, in the columns of table `instruments`. `lot_size` is needed for vendors that count contracts (NSE)."""

    symbol_id: Number
    symbol: Annotated[str, Meta(min_length=1)]
    exchange: str | None = None
    segment: str | None = None
    lot_size: Lot | None = None
    tick_size: Price | None = None
    is_active: bool = True


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    instruments: Annotated[list[Instrument], Meta(min_length=1)]


def read_instruments(path: str) -> Mapping[str, Instrument]:
    """The instruments by symbol; ValueError, with the file and what is wrong in it, where it cannot be read."""
    import yaml  # noqa: PLC0415  every start of stockifyd imports this module

    try:
        # Scalars as they are written: what they mean is decided by the field, not by YAML (a symbol may be called NO).
        plain = yaml.load(Path(path).read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506  it makes text, lists and mappings alone
        found = msgspec.convert(plain, _File, strict=False).instruments
    except OSError as error:
        raise ValueError(f"{path!r} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ValueError(f"{path}{where}: this is no YAML") from error
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"{path}: {reason_of(error)}") from error
    for name in ("symbol", "symbol_id"):
        seen = set[object]()
        for index, instrument in enumerate(found):
            value = getattr(instrument, name)
            if value in seen:
                raise ValueError(f"{path}: instruments[{index}].{name}: {value!r} is there twice")
            seen.add(value)
    return {instrument.symbol: instrument for instrument in found}
