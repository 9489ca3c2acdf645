"""How much one fetch unpacks: about READ_BYTES, however small the records were packed and whatever came before."""

from __future__ import annotations

from typing import Self

READ_BYTES = 4 * 2**20
"""About what one fetch unpacks, which bounds memory and how long the event loop is held."""
MOST_RECORDS = 5_000


class Portion(int):
    """What `getmany` is given for `max_records`: a number that is reached when enough is unpacked, in bytes or in records.

    aiokafka compares it with how many parts it has after each, and of a compressed record nobody knows the size before
    (ADR 42).
    """

    room: int
    """Bytes that may still be unpacked; below 0 if the last record was a large one."""
    left: int
    """Records that may still be unpacked."""

    def __new__(cls) -> Self:
        return super().__new__(cls, MOST_RECORDS)

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> Self:
        """A fetch begins."""
        self.room, self.left = READ_BYTES, MOST_RECORDS
        return self

    @property
    def is_spent(self) -> bool:
        return self.room <= 0 or self.left <= 0

    def __le__(self, _count: int) -> bool:
        """Whether so many parts are enough."""
        return self.is_spent

    def __sub__(self, _count: int) -> int:
        """What the next partition may bring: 0 is nothing."""
        return 0 if self.is_spent else self
