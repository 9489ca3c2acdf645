"""JSON bytes to values; what does not fit is a Reject that names the path and the kind, never the data."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stockifyd.api import Message, Reject

_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_ENUM = re.compile(r"^Invalid enum value .*", re.DOTALL)


def decoded(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    """JSON as the decoder's type."""
    try:
        if not raw.isascii():
            raw.decode()  # msgspec skips what no field asks for, and does not look whether that is text
        return decoder.decode(raw)
    except UnicodeDecodeError as error:  # msgspec lets it out, and the one below
        raise Reject("the message is not UTF-8") from error
    except RecursionError as error:
        raise Reject("the message is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise Reject(_reason(str(error))) from error


def text_of(raw: bytes) -> str:
    """Plain text."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Reject("the message is not UTF-8") from error


def value_of(message: Message, decoder: msgspec.json.Decoder[Any]) -> Any:
    """What a transform before made of a message, in plain values; else its bytes, decoded."""
    if message.value is None:
        return decoded(decoder, message.raw)
    return msgspec.to_builtins(message.value) if isinstance(message.value, msgspec.Struct) else message.value


def _reason(text: str) -> str:
    path = ""
    if found := _AT.search(text):
        text, path = text[: found.start()], found["path"]
    fact = _ENUM.sub("none of the values allowed", text).replace("`", "")
    fact = fact if fact.startswith("JSON") else fact[:1].lower() + fact[1:]
    return f"{path}: {fact}" if path else fact
