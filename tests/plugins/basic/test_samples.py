"""The samples beside the plugins' code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stockifyd.testing import make
from stockifyd_basic import Decode, Flatten

FOLDER = Path(__file__).resolve().parents[3] / "plugins" / "stockifyd_basic"


@pytest.mark.parametrize("component", [Decode, Flatten])
def test_sample_is_a_component_that_can_be_made(component: type[Decode | Flatten]) -> None:
    """Each sample is one transform of its type, with options that are taken."""
    [options] = yaml.safe_load((FOLDER / f"{component.type}.sample.yaml").read_text())["transforms"]
    assert component.type == options.pop("type")
    assert make(component, **options).tables({}) is not None
