"""Formulas on the options of one expiry. What imports a module of this package, but for the package itself, may load numpy."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = ("numpy", "pyvolr")


def require_extra() -> None:
    """ValueError, for a spec's finding, where what the formulas are computed with is not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be installed: pip install 'stockifyd[greeks]'")
