"""Fixtures that every test may ask for, and how many examples a property test looks at; in which order."""

import os

import pytest
from hypothesis import settings

pytest_plugins = ["kit.fixtures_kafka", "kit.fixtures_postgres", "kit.fixtures_bed", "kit.fixtures_environment"]

# The machine may be busy, so no example has a time limit. The suite looks at the same examples each time, so that a change is
# judged by what it changed; `make fuzz` looks for new ones.
settings.register_profile("the same", deadline=None, derandomize=True)
settings.register_profile("new ones", deadline=None, max_examples=int(os.environ.get("STOCKIFYD_FUZZ_EXAMPLES") or "100"))
settings.load_profile("new ones" if "STOCKIFYD_FUZZ_EXAMPLES" in os.environ else "the same")

QUICK = ("tests/unit/", "tests/plugins/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first: the many quick ones are dealt last, so that no worker is left with minutes of its own."""
    items.sort(key=lambda item: item.nodeid.startswith(QUICK))
