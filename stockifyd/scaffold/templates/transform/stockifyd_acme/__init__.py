"""Makes rows of JSON objects."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stockifyd.api import Batch, Component, Config, Message, Reject, Row, Tables, Transform, hookimpl

requires_api = 1


class Quote(msgspec.Struct, frozen=True):
    """What a message must hold; whatever else it holds is left out."""

    symbol: str
    price: float


class AcmeOptions(Config, frozen=True):
    table: Annotated[str, Meta(description="The table that is made.")] = "quotes"
    price_min: Annotated[float, Meta(description="Cheaper ones make no row.")] = 0.0


class Acme(Transform[AcmeOptions]):
    """Makes a row `(symbol, price)` of each message; one that is no JSON object with both becomes a dead letter."""

    type = "acme"
    columns = ("symbol", "price")

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten(self.config.table, self.columns, self._rows)

    def tables(self, before: Tables) -> Tables:
        return {**before, self.config.table: self.columns}

    def _rows(self, message: Message) -> Iterator[Row]:
        try:
            quote = msgspec.json.decode(message.raw, type=Quote)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Reject(f"no quote: {error}") from error
        if quote.price >= self.config.price_min:
            yield quote.symbol, quote.price


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Acme]
