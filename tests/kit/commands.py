"""Whether a command line that a document names can be: its command and its flags exist."""

from __future__ import annotations

import re

import click

from stockifyd.cli.main import main


def command_of(line: str) -> tuple[click.Command, str]:
    """The command that a line calls, and the words behind it."""
    command: click.Command = main
    rest = line.split()[1:]
    context = click.Context(main, info_name="stockifyd")
    while isinstance(command, click.Group):
        while rest and rest[0].startswith("--"):  # flags before the command, each with a value
            rest = rest[1:] if "=" in rest[0] else rest[2:]
        found = command.get_command(context, rest[0]) if rest else None
        if found is None:
            raise LookupError(f"no command in {line!r}")
        command, context, rest = found, click.Context(found, context, info_name=rest[0]), rest[1:]
    return command, " ".join(rest)


def check_command(line: str) -> None:
    """A command that a document names exists, and so do its flags."""
    command, rest = command_of(line)
    flags = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
    assert set() == set(re.findall(r"(?<!\S)--[a-z-]+", rest)) - flags, line
