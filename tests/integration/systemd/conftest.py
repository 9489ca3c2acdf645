"""A machine with a systemd of its own, booted once for each process of tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kit.machine import NoRightsError, missing
from kit.units import Units, installed


@pytest.fixture(scope="session")
def units() -> Iterator[Units]:
    """stockifyd, installed there by `install-units`."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:
        try:
            there = stack.enter_context(installed())
        except NoRightsError as error:
            pytest.skip(f"no systemd can be booted here, {error}")
        done = there.stockifyd("install-units")
        assert 0 == done.returncode, done.stderr
        yield there
