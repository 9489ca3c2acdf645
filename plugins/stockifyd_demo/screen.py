"""The screen of the whole platform: each pipeline's state, rate and lag; redrawn on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import click

from stockifyd_demo.daemons import Daemon
from stockifyd_demo.stage import INDENT, Stage

COLUMNS = f"{'pipeline':<12}{'state':<12}{'messages':>10}{'messages/s':>12}{'rows':>12}{'rows/s':>10}{'lag':>7}"
REDRAW_SECS = 0.5
NEWS_SECS = 5.0


class Screen:
    """Shows daemons as they are; what happens is told above them and stays."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._is_terminal = stage, sys.stdout.isatty()
        self._began, self._shown, self._height = time.monotonic(), 0.0, 0

    def tell(self, text: str) -> None:
        """Something happens."""
        self._erase()
        self._stage.turn(f"{self._clock()}   {text}")

    def show(self, daemons: Iterable[Daemon], *, at_once: bool = False) -> None:
        """How they are now, if it is time."""
        now = time.monotonic()
        if not at_once and now - self._shown < (REDRAW_SECS if self._is_terminal else NEWS_SECS):
            return
        self._shown = now
        if self._is_terminal:
            self._draw(daemons)
        else:
            self._stage.line(f"{self._clock()}   {' | '.join(_short(one) for one in daemons if one.child is not None)}")

    def leave(self) -> None:
        """What stands there now stays."""
        self._height = 0

    def _draw(self, daemons: Iterable[Daemon]) -> None:
        lines = [f"{self._clock()}", click.style(COLUMNS, bold=True), *(_row(one) for one in daemons)]
        self._erase()
        click.echo("\n".join(f"{INDENT}{line}" for line in lines))
        self._height = len(lines)

    def _erase(self) -> None:
        if self._height:
            click.echo(f"\x1b[{self._height}A\x1b[J", nl=False)  # up, and clear to the end of the screen
            self._height = 0

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"


def _row(one: Daemon) -> str:
    head = f"{one.name:<12}{one.state:<12}"
    if not one.is_running:  # what it said last is not how far it came
        return f"{head}{'-':>10}{'-':>12}{'-':>12}{'-':>10}{'-':>7}"
    messages, rows = one.count("messages_delivered"), sum(one.status.get("rows", {}).values())
    return f"{head}{messages:>10,}{_rate(one, 'messages'):>12,.1f}{rows:>12,}{_rate(one, 'rows'):>10,.0f}{_lag(one):>7}"


def _short(one: Daemon) -> str:
    if not one.is_running:
        return f"{one.name} {one.state}"
    return f"{one.name} {one.count('messages_delivered'):,}, {_rate(one, 'messages'):.1f}/s, lag {_lag(one)}"


def _rate(one: Daemon, what: str) -> float:
    return float(one.status.get(f"{what}_per_sec", 0.0))


def _lag(one: Daemon) -> str:
    """A vendor has no backlog, and so a source that polls has no lag."""
    lag = one.status.get("lag")
    return "-" if lag is None else f"{lag:,}"
