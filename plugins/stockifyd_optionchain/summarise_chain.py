"""The transform `summarise_chain`: one row of analytics for each expiry of a chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any

from msgspec import Meta

from stockifyd.api import Batch, Config, Message, Row, Table, Tables, Transform
from stockifyd_optionchain.analytics import require_extra
from stockifyd_optionchain.analytics.mood import Components, MoodWeights
from stockifyd_optionchain.buildup import Pressure, pressure
from stockifyd_optionchain.classify_buildup import BUILDUPS
from stockifyd_optionchain.forward import RatePct
from stockifyd_optionchain.pace import flattened
from stockifyd_optionchain.reading import typed

ANALYTICS = "analytics"
COLUMNS = (
    *("timestamp", "symbol_id", "expiry", "spot_price", "forward_price", "pcr_oi", "pcr_volume", "max_pain_strike"),
    *("call_gex", "put_gex", "net_gex", "zero_gamma_level"),
    *("atm_iv", "call_iv_25d", "put_iv_25d", "risk_reversal_25d", "butterfly_25d"),
    *("support_strikes", "support_oi", "support_oi_change", "resistance_strikes", "resistance_oi", "resistance_oi_change"),
    *(*(f"mood_{name}" for name in Components._fields), "market_mood"),
)


class SummariseChainOptions(Config, frozen=True):
    """What the figures are made with."""

    rate_pct: RatePct
    level_count: Annotated[int, Meta(ge=1, le=20, description="Supports, and resistances, that are named.")] = 3
    zero_gamma_range_pct: Annotated[
        float, Meta(gt=0, le=50, description="How far from spot the zero-gamma level is looked for, in percent.")
    ] = 10.0
    mood_weights: Annotated[MoodWeights, Meta(description="How much each component of the market mood counts.")] = MoodWeights()

    def __post_init__(self) -> None:
        """Refuse where the extra is not installed."""
        require_extra()


class SummariseChain(Transform[SummariseChainOptions]):
    """Adds table `analytics`: put-call ratios, max pain, gamma exposure, skew, levels and market mood of each expiry.

    Greeks are taken from the options (`enrich_greeks`), build-up from table `buildups` where `classify_buildup` is before it.
    What is not defined is null. Needs the extra `greeks`.
    """

    type = "summarise_chain"

    async def apply(self, batch: Batch) -> Batch:
        """Add the table."""
        rows_of, wishes = self._formulas()
        buildups = batch.tables.get(BUILDUPS)

        def rows(index: int, message: Message) -> Iterator[Row]:
            return rows_of(typed(message), wishes, {} if buildups is None else _pressures(buildups, index))

        return await flattened(batch, ANALYTICS, COLUMNS, rows)

    def tables(self, before: Tables) -> Tables:
        """Those that come in, and `analytics`."""
        return {**before, ANALYTICS: COLUMNS}

    def _formulas(self) -> tuple[Callable[..., Iterator[Row]], Any]:
        from stockifyd_optionchain.analytics.summary import Wishes, rows_of  # noqa: PLC0415  numpy is loaded by those who use it

        config = self.config
        return rows_of, Wishes(config.rate_pct / 100, config.level_count, config.zero_gamma_range_pct, config.mood_weights)


def _pressures(buildups: Table, message: int) -> Mapping[date, Pressure]:
    at = [buildups.columns.index(name) for name in ("expiry", "option_type", "oi_change", "buildup")]
    if not (rows := buildups.of_message(message)):
        return {}
    expiries, *moves = map(list(zip(*rows, strict=True)).__getitem__, at)
    if expiries.count(expiries[0]) == len(expiries):
        return {expiries[0]: pressure(*moves)}
    of_expiry = defaultdict[date, list[Any]](list)
    for expiry, *move in zip(expiries, *moves, strict=True):
        of_expiry[expiry].append(move)
    return {expiry: pressure(*zip(*those, strict=True)) for expiry, those in of_expiry.items()}
