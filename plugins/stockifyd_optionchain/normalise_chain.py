"""The transform `normalise_chain`: what a vendor answered becomes the canonical chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from stockifyd.api import Batch, Config, Drift, Message, Reject, Tables, Transform
from stockifyd_optionchain.chain import Chain
from stockifyd_optionchain.instruments import Instrument, read_instruments
from stockifyd_optionchain.pace import mapped
from stockifyd_optionchain.vendors import canonical, envelope_of


class NormaliseChainOptions(Config, frozen=True):
    """What the vendors leave out."""

    instruments: Annotated[
        str,
        Meta(
            description="File of the instruments: the symbol_id, lot and tick size of each symbol. Read at the start.",
            examples=["pipelines/reference/instruments.yaml"],
        ),
    ]

    def __post_init__(self) -> None:
        """Refuse a file that cannot be read or is wrong."""
        try:
            read_instruments(self.instruments)
        except ValueError as error:
            raise ValueError(f"instruments: {error}") from error


class NormaliseChain(Transform[NormaliseChainOptions]):
    """Turns vendors' answers in their envelope (`market.raw`) into canonical option chains: Upstox v2, DhanHQ v2 and NSE.

    The chain becomes the message's value, in the units of the canonical form. An answer with anything wrong in it is rejected.
    """

    type = "normalise_chain"

    _instruments: Mapping[str, Instrument] = {}

    async def open(self) -> None:
        """Read the instruments."""
        try:
            self._instruments = read_instruments(self.config.instruments)
        except ValueError as error:
            raise Drift(f"instruments: {error}", hint="put the file right, then reload") from error

    async def apply(self, batch: Batch) -> Batch:
        """Put each message's chain in its value."""
        return await mapped(batch, self._chain)

    def tables(self, before: Tables) -> Tables:
        """Those that come in."""
        return before

    def _chain(self, message: Message) -> Chain:
        envelope = envelope_of(message)
        instrument = self._instruments.get(envelope.symbol)
        if instrument is None:
            raise Reject("symbol: not in the instruments file")
        if envelope.symbol_id not in (None, instrument.symbol_id):
            raise Reject("symbol_id: another than the instruments file has for this symbol")
        return canonical(envelope, instrument)
