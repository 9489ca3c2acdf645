"""The samples beside the plugin's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stockifyd.api import Tables, Transform
from stockifyd.testing import make
from stockifyd_basic import Decode, Deduplicate, Filter, Flatten, Select, stockifyd_components

FOLDER = Path(__file__).resolve().parents[3] / "plugins" / "stockifyd_basic"
KNOWN: dict[str, type[Transform[Any]]] = {kind.type: kind for kind in (Decode, Deduplicate, Filter, Flatten, Select)}


@pytest.mark.parametrize("kind", [kind for kind in stockifyd_components() if issubclass(kind, Transform)])
def test_sample_is_a_chain_that_can_be_made(kind: type[Transform[Any]]) -> None:
    """Each sample has a transform of its type, and each knows the tables that leave it."""
    chain = yaml.safe_load((FOLDER / f"{kind.type}.sample.yaml").read_text())["transforms"]
    assert kind.type in [options["type"] for options in chain]
    tables: Tables = {}
    for options in chain:
        made = make(KNOWN[options["type"]], **{key: value for key, value in options.items() if key not in ("type", "name")})
        after = made.tables(tables)
        assert after is not None
        tables = after
