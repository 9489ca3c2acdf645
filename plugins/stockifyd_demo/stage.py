"""How the demo speaks: numbered headings, plain lines, small tables; no colour where nobody sees it."""

from __future__ import annotations

from collections.abc import Sequence

import click

INDENT = "   "


class Stage:
    """Prints; counts the scenes."""

    def __init__(self) -> None:
        self._scenes = 0

    def scene(self, title: str) -> None:
        """Begin the next part."""
        self._scenes += 1
        click.echo(f"\n{click.style(f'{self._scenes}. {title}', bold=True)}")

    def say(self, text: str) -> None:
        """A line outside of the scenes."""
        click.echo(text)

    def line(self, text: str) -> None:
        """A line of the scene, or several."""
        for each in text.splitlines() or [""]:
            click.echo(f"{INDENT}{each}".rstrip())

    def turn(self, text: str) -> None:
        """Something happens."""
        self.line(click.style(text, fg="yellow"))

    def good(self, text: str) -> None:
        """Something is as it must be."""
        self.line(f"{click.style('✓', fg='green')} {text}")

    def bad(self, text: str) -> None:
        """Something is not."""
        self.line(f"{click.style('✗', fg='red')} {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """The first column to the left, all others to the right."""
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        for row in (columns, ["-" * width for width in widths], *rows):
            first, *others = zip(row, widths, strict=True)
            self.line("  ".join([f"{first[0]:<{first[1]}}", *(f"{text:>{width}}" for text, width in others)]).rstrip())
