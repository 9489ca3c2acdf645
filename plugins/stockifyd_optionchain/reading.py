"""From a message to a typed chain, or a Reject that names the path and the kind of what is wrong, never the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, TypeVar

import msgspec

from stockifyd.api import Message, Reject
from stockifyd_optionchain.chain import Chain

T = TypeVar("T")

_chains = msgspec.json.Decoder(Chain)
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_ENUM = re.compile(r"^Invalid enum value .*", re.DOTALL)
_ALLOWED = {"option_type": "'CE' or 'PE'", "vendor": "'upstox', 'dhan' or 'nse'"}


def chain_of(message: Message) -> Chain:
    """The chain of a message: of its bytes, or of the value that a transform before made of them."""
    if message.value is None:
        return decoded(_chains, message.raw)
    return converted(message.value)


def typed(message: Message) -> Chain:
    """As `chain_of`, for what comes before the gate of storage: a typed chain is taken at its word, which saves checking it."""
    return message.value if isinstance(message.value, Chain) else chain_of(message)


def decoded(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw, *, part: str = "") -> T:
    """JSON as the decoder's type; `part` is what the bytes are of a message, where they are not all of it."""
    plain = bytes(raw)
    try:
        if not plain.isascii():
            plain.decode()  # msgspec skips what no field asks for, and does not look whether that is text
        return decoder.decode(plain)
    # Besides its own error msgspec lets these two out: for bytes that are no UTF-8, and for deep nesting.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Reject(f"{part}: {reason_of(error)}" if part else reason_of(error)) from error


def converted(value: Any) -> Chain:
    """A value as a chain, checked as JSON would be: Python lets values in that no JSON can hold."""
    try:
        plain = msgspec.to_builtins(value) if isinstance(value, Chain) else value
        chain = msgspec.convert(plain, Chain, from_attributes=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Reject(reason_of(error)) from error
    for path in _not_finite(chain):
        raise Reject(f"{path}: expected a finite number")
    return chain


def reason_of(error: Exception) -> str:
    """One line: `options[3].strike: expected float > 0.0`."""
    if isinstance(error, UnicodeDecodeError):
        return "the message is not UTF-8"
    if isinstance(error, RecursionError):
        return "the message is nested too deeply"
    text, path = str(error), ""
    if found := _AT.search(text):
        text, path = text[: found.start()], found["path"]
    allowed = _ALLOWED.get(path.rpartition(".")[2])
    fact = _ENUM.sub(f"expected {allowed}" if allowed else "none of the values allowed", text).replace("`", "")
    fact = fact[:1].lower() + fact[1:] if not fact.startswith("JSON") else fact
    return f"{path}: {fact}" if path else fact


def _not_finite(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, float) and not isfinite(value):
        yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _not_finite(getattr(value, name), f"{path}.{name}" if path else name)
