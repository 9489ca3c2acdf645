"""How much one fetch unpacks: about READ_BYTES, however small the records were packed and whatever came before."""

from __future__ import annotations

from typing import Self

READ_BYTES = 4 * 2**20
"""About what one fetch unpacks, which bounds memory and how long the event loop is held."""
MOST_RECORDS = 5_000


class Portion(int):
    """What `getmany` is given for `max_records`: a number that is reached when so many bytes are unpacked, too.

    aiokafka compares it with what it has after each record, and hands each value to `weigh` as it unpacks it: of a compressed
    record nobody knows the size before (ADR 42).
    """

    def __new__(cls) -> Self:
        return super().__new__(cls, MOST_RECORDS)

    def __init__(self) -> None:
        self._room = READ_BYTES

    def begin(self) -> Self:
        """A fetch begins."""
        self._room = READ_BYTES
        return self

    def weigh(self, value: bytes | None) -> bytes | None:
        """Aiokafka's deserializer: each value comes back as it is."""
        if value:
            self._room -= len(value)
        return value

    def __le__(self, count: int) -> bool:
        """Whether so many records are enough."""
        return self._room <= 0 or count >= MOST_RECORDS

    def __sub__(self, count: int) -> int:
        """What the next partition may bring: 0 is nothing."""
        return 0 if self <= count else self
