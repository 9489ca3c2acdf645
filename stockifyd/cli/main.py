"""`stockifyd`: finds the command, and sees that no traceback reaches a user."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from stockifyd import __version__
from stockifyd.cli.settings import COMMANDS, EX_FAILED, Settings


class Commands(click.Group):
    """Ours first, imported when called; then those that plugins bring."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*COMMANDS, *settings_of(ctx).registry.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        return settings_of(ctx).registry.commands.get(cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            for problem in settings_of(ctx).registry.problems:  # the command may be one of theirs
                click.echo(str(problem), err=True)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        with told(debug=settings_of(ctx).log_level == "debug"):
            return super().invoke(ctx)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with told(debug=False):
            return super().main(*args, **kwargs)


def settings_of(ctx: click.Context) -> Settings:
    """The settings of a call: click resolves the command before it calls the group."""
    if ctx.obj is None:
        ctx.obj = Settings(**{key: ctx.params[key] for key in ("plugin_files", "log_format", "log_level") if key in ctx.params})
    settings: Settings = ctx.obj
    return settings


@contextmanager
def told(*, debug: bool) -> Iterator[None]:
    """Whatever goes wrong becomes a line for people and an exit code."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # click ends quietly when nobody reads on
        if debug:
            traceback.print_exc()
        sys.exit(tell(error))


def tell(error: Exception) -> int:
    """Print what went wrong, and say the exit code."""
    from stockifyd.api import StockifydError  # noqa: PLC0415  `--version` needs no API
    from stockifyd.daemon.logs import said  # noqa: PLC0415

    expected = isinstance(error, StockifydError)
    if isinstance(error, StockifydError):
        reason, hint = error.reason, error.hint
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} [{frame.filename}:{frame.lineno}]"
        hint = "this is a bug; run again with `stockifyd --log-level debug ...` and report what it prints"
    text = f"stockifyd: {reason}" + (f"\n  HINT: {hint}" if hint else "")
    click.echo(said(text, logging.ERROR, sys.stderr), err=True)
    return 1 if expected else EX_FAILED


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stockifyd", message="%(prog)s %(version)s")
@click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    is_eager=True,  # its commands are listed by --help
    type=click.Path(),
    envvar="STOCKIFYD_PLUGINS",
    metavar="FILE",
    help="Load a plugin from a Python file; may be given again. [env: STOCKIFYD_PLUGINS, separated by :]",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", envvar="STOCKIFYD_LOG_FORMAT", show_default=True
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    envvar="STOCKIFYD_LOG_LEVEL",
    show_default=True,
)
@click.pass_context
def main(ctx: click.Context, /, **_: Any) -> None:
    """Run pipelines that are declared in YAML: one source, transforms in order, sinks."""
    settings_of(ctx)
