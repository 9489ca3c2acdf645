"""The transform `decode`: a message's bytes become its value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stockifyd.api import Batch, Config, Context, Tables, Transform
from stockifyd_basic.decoding import decoded, text_of


class DecodeOptions(Config, frozen=True):
    """What the bytes are."""

    format: Annotated[
        Literal["json", "text"], Meta(description="`text`: the value is the text itself, as of plain lines of a file.")
    ] = "json"
    schema: Annotated[
        str | None,
        Meta(description="A message type that an installed plugin brings (`chain`); default: any JSON.", examples=["chain"]),
    ] = None

    def __post_init__(self) -> None:
        """Refuse a schema that no plugin brings."""
        if self.schema is not None and self.format == "text":
            raise ValueError("schema: only with `format: json`")
        if self.schema is not None and self.schema not in (known := message_types()):
            raise ValueError(f"schema: no plugin brings a message type {self.schema!r}; known are {', '.join(sorted(known))}")


class Decode(Transform[DecodeOptions]):
    """Decodes JSON, or plain text; with `schema`, checks it against a message type that a plugin brings.

    Only needed before a transform that reads values and does not decode itself: `flatten` and `flatten_chain` do.
    """

    type = "decode"

    def __init__(self, config: DecodeOptions, context: Context) -> None:
        super().__init__(config, context)
        wanted: Any = message_types()[config.schema] if config.schema else Any
        self._decoder = msgspec.json.Decoder(wanted)

    def apply(self, batch: Batch) -> Batch:
        """Put what is decoded in each message's value."""
        if self.config.format == "text":
            return batch.map(lambda message: text_of(message.raw))
        return batch.map(lambda message: decoded(self._decoder, message.raw))

    def tables(self, before: Tables) -> Tables:
        """Those that come in."""
        return before


@cache
def message_types() -> Mapping[str, type[msgspec.Struct]]:
    """What installed plugins answer to the hook `stockifyd_messages`.

    A component cannot see the registry, so the entry points are asked; plugins given by `--plugin FILE` are not among them.
    """
    found: dict[str, type[msgspec.Struct]] = {}
    for point in entry_points(group="stockifyd"):
        try:
            plugin = point.load()
        except Exception:  # noqa: BLE001, S112  a broken plugin is the registry's to report, and only its own types are missing
            continue
        found.update(getattr(plugin, "stockifyd_messages", dict)())
    return found
