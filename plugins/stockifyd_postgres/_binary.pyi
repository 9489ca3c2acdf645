from collections.abc import Callable
from typing import Any

def encode(
    columns: tuple[tuple[str, type | None, Callable[[Any], bytes] | None], ...], rows: list[tuple[Any, ...]], block_rows: int
) -> list[bytes]: ...
