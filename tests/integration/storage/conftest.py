"""Both ways of encoding rows."""

from __future__ import annotations

import pytest

from stockifyd_postgres import encoding


@pytest.fixture(params=["C", "asyncpg"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who makes bytes of rows: ours, or asyncpg, as where there was no compiler."""
    name: str = request.param
    if name == "asyncpg":
        monkeypatch.setattr(encoding, "_binary", None)
    elif encoding._binary is None:
        pytest.skip("_binary was not compiled: there was no C compiler")
    return name
