from collections.abc import Callable
from datetime import date
from typing import Any

def encode(
    columns: tuple[tuple[str, Callable[[Any], bytes] | None], ...], rows: list[tuple[Any, ...]], block_rows: int
) -> list[bytes]: ...
def days(rows: list[tuple[Any, ...]], place: int) -> set[date]: ...
