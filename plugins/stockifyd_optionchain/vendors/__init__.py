"""What vendors answer, and the canonical chain that it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stockifyd_optionchain.chain import Chain, ChainContext
from stockifyd_optionchain.figures import figures
from stockifyd_optionchain.instruments import Instrument
from stockifyd_optionchain.settlement import moment
from stockifyd_optionchain.vendors import dhan, nse, upstox
from stockifyd_optionchain.vendors.envelope import Envelope, Quotes, envelope_of

__all__ = ["READERS", "Envelope", "canonical", "envelope_of"]

READERS: Mapping[str, Callable[[Envelope, Instrument], Quotes]] = {
    "upstox": upstox.quotes,
    "dhan": dhan.quotes,
    "nse": nse.quotes,
}


def canonical(envelope: Envelope, instrument: Instrument) -> Chain:
    """The chain in the canonical form and units; Reject where the payload is not what the vendor documents.

    Vendors' greeks stay behind (their units are their own); their IV comes along as a fraction.
    """
    timestamp, spot, options = READERS[envelope.vendor](envelope, instrument)
    known = ChainContext(
        exchange=instrument.exchange,
        segment=instrument.segment,
        spot_price=spot or None,
        lot_size=instrument.lot_size,
        tick_size=instrument.tick_size,
    )
    total_call_oi, total_put_oi, pcr_ratio, *_, max_pain_strike, days = figures(options, moment(timestamp)[1], known)
    context = ChainContext(
        exchange=known.exchange,
        segment=known.segment,
        spot_price=known.spot_price,
        total_call_oi=total_call_oi,
        total_put_oi=total_put_oi,
        pcr_ratio=pcr_ratio,
        max_pain_strike=max_pain_strike,
        days_to_expiry=days,
        lot_size=known.lot_size,
        tick_size=known.tick_size,
    )
    return Chain(timestamp, instrument.symbol_id, envelope.symbol, options, context)
