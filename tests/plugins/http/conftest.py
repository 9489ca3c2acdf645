"""A vendor for each test, and all log lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from kit.vendor import Vendor


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        yield server


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
