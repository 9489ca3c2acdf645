"""Fixtures: an environment in which an author of plugins works."""

from __future__ import annotations

import pytest

from kit.environments import ROOT, Environment, fresh


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment with this stockifyd, editable; what a module's tests install there stays there."""
    environment = fresh(tmp_path_factory.mktemp("workshop"))
    environment.install("--editable", ROOT)
    return environment
