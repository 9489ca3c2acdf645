"""The transform `enrich_greeks`: implied volatility and greeks of every option."""

from __future__ import annotations

from collections.abc import Callable

from stockifyd.api import Batch, Config, Message, Tables, Transform
from stockifyd_optionchain.analytics import require_extra
from stockifyd_optionchain.chain import Chain
from stockifyd_optionchain.forward import RatePct
from stockifyd_optionchain.pace import mapped
from stockifyd_optionchain.reading import typed


class EnrichGreeksOptions(Config, frozen=True):
    """What prices do not tell."""

    rate_pct: RatePct

    def __post_init__(self) -> None:
        """Refuse where the extra is not installed."""
        require_extra()


class EnrichGreeks(Transform[EnrichGreeksOptions]):
    """Computes iv, delta, gamma, theta, vega and rho of every option from its price: Black-76 on the forward of put-call parity.

    What a vendor sent is replaced; what cannot be solved is null. It sets the context's `atm_iv` too. Needs the extra `greeks`.
    """

    type = "enrich_greeks"

    async def apply(self, batch: Batch) -> Batch:
        """Put the chain with greeks in each message's value."""
        enriched, rate = _formulas(), self.config.rate_pct / 100

        def change(message: Message) -> Chain:
            return enriched(typed(message), rate)

        return await mapped(batch, change)

    def tables(self, before: Tables) -> Tables:
        """Those that come in."""
        return before


def _formulas() -> Callable[[Chain, float], Chain]:
    from stockifyd_optionchain.analytics.enrichment import enriched  # noqa: PLC0415  numpy is loaded by those who use it

    return enriched
