"""JSON APIs over HTTP: a source that polls."""

from __future__ import annotations

from typing import Any

from stockifyd.api import Component, hookimpl
from stockifyd_http.options import HttpOptions
from stockifyd_http.source import Http

__all__ = ["Http", "HttpOptions"]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The source `http`."""
    return [Http]
