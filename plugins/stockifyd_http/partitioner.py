"""The symbol partitioner: which instance polls which symbol, by rendezvous hashing.

Every instance weighs every symbol, and the heaviest polls it. One instance more takes symbols from the others and moves none
between them; one less gives its symbols to the others, and no other moves. Source: D. Thaler and C. Ravishankar, "A name-based
mapping scheme for rendezvous", 1996.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def owner(symbol: str, total_instances: int) -> int:
    """The instance, from 1, that polls a symbol."""
    return max(range(1, total_instances + 1), key=lambda instance: _weight(symbol, instance))


def share(symbols: Iterable[str], instance_id: int, total_instances: int) -> list[str]:
    """The symbols of one instance, in their order."""
    return [symbol for symbol in symbols if owner(symbol, total_instances) == instance_id]


def _weight(symbol: str, instance: int) -> bytes:
    # A checksum would not do: crc32 is linear, so that instances would be heaviest in the same order for many symbols.
    return blake2b(f"{instance}:{symbol}".encode(), digest_size=16).digest()
