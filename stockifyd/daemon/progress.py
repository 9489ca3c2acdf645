"""On a terminal, one line below the log while a pipeline catches up."""

from __future__ import annotations

from stockifyd.daemon.status import PipelineStatus

CATCHING_UP = 100
"""Messages behind from which a progress line is worth showing."""


def line(statuses: list[PipelineStatus]) -> str:
    """`storage  12,345 messages  45,000 rows/s  lag 1,234,567  1 m 20 s left`; empty when nobody is behind."""
    return "   ".join(_one(s) for s in statuses if (s.lag or 0) >= CATCHING_UP)


def span(secs: float) -> str:
    """`8 s`, `1 m 20 s`, `2 h 5 m`."""
    minutes, rest = divmod(int(secs), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} m"
    return f"{minutes} m {rest} s" if minutes else f"{rest} s"


def _one(status: PipelineStatus) -> str:
    left = f"  {span(status.left_secs)} left" if status.left_secs is not None else ""
    return (
        f"{status.name}  {status.messages_delivered:,} messages  {status.rows_per_sec:,.0f} rows/s  lag {status.lag or 0:,}{left}"
    )
