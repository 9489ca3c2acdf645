from collections.abc import Iterator
from typing import Any

from stockifyd.api import Message, Partition, Position

def messages(
    classes: tuple[type[Message], type[Position]],
    records: Iterator[Any],
    partition: Partition,
    first: int,
    portion: tuple[int, int],
) -> tuple[list[Message], int, int]: ...
