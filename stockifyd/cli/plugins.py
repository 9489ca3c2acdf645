"""`stockifyd plugins`: what is installed, what is broken, the options of a component, and the project of a new one."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stockifyd.api import StockifydError
from stockifyd.cli.settings import Settings
from stockifyd.scaffold import ROLES, create

if TYPE_CHECKING:  # `--help` imports this module, and needs no spec
    from stockifyd.spec.describe import Description, Option


@click.group()
def plugins() -> None:
    """What plugins bring."""


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def list_(settings: Settings, /, *, as_json: bool) -> None:
    """List component types, the plugins they come from, and plugins that were skipped."""
    from stockifyd.spec.describe import guarantee  # noqa: PLC0415  see above
    from stockifyd.spec.schema import summary  # noqa: PLC0415

    entries, problems = settings.registry.entries, settings.registry.problems
    if as_json:
        components = [
            {
                "role": e.role,
                "type": e.type,
                "plugin": e.plugin,
                "version": e.version,
                "summary": summary(e),
                "guarantee": guarantee(e),
            }
            for e in entries
        ]
        _print_json({"components": components, "problems": [asdict(problem) for problem in problems]})
        return
    width = max((len(e.type) for e in entries), default=0)
    for e in entries:
        click.echo(f"{e.role:<9} {e.type:<{width}}  {summary(e)} [{e.plugin}: {e.version}]")
    for problem in problems:
        click.echo(str(problem), err=True)


@plugins.command()
@click.argument("type_", metavar="TYPE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def show(settings: Settings, /, type_: str, *, as_json: bool) -> None:
    """Show what a component does, its options and a sample."""
    from stockifyd.spec.describe import describe  # noqa: PLC0415  see above
    from stockifyd.spec.findings import did_you_mean  # noqa: PLC0415

    found = [describe(entry) for entry in settings.registry.entries if entry.type == type_]
    if not found:
        known = (entry.type for entry in settings.registry.entries)
        broken = [str(p) for p in settings.registry.problems if p.plugin == type_ or type_ in {word for _, word in p.brings}]
        raise StockifydError(f"there is no component of type {type_!r}", hint="; ".join(broken) or did_you_mean(type_, known))
    if as_json:
        _print_json([asdict(one) for one in found])
        return
    click.echo("\n".join(_text(one) for one in found), nl=False)


@plugins.command()
@click.argument("role", type=click.Choice(ROLES))
@click.argument("name")
@click.option("--into", "parent", type=click.Path(path_type=Path), default=".", metavar="DIR", help="Where its folder is made.")
@click.pass_obj
def new(settings: Settings, /, role: str, name: str, *, parent: Path) -> None:
    """Make the project of a new plugin: code, sample, README and tests that pass.

    NAME is the word that users will write after `type:`.
    """
    taken = [entry for entry in settings.registry.entries if (entry.role, entry.type) == (role, name)]
    if taken:
        raise StockifydError(f"there is a {role} {name!r} already, from plugin {taken[0].plugin!r}", hint="take another name")
    folder = create(role, name, parent)
    click.echo(f"made {folder}: a {role}, its sample, its README and its tests. Next:\n")
    steps = (f"cd {shlex.quote(str(folder))}", "pip install -e '.[test]'", "pytest", "mypy")
    for step in (*steps, f"stockifyd plugins show {name}", "stockifyd validate sample.yaml"):
        click.echo(f"  {step}")


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _text(one: Description) -> str:
    parts = [f"{one.type}: a {one.role} of plugin {one.plugin!r} ({one.version})", "", one.docs, ""]
    if one.guarantee:
        parts += [f"Guarantee: {one.guarantee}.", ""]
    if one.options:
        parts += ["Options:", *(_option(option) for option in one.options), ""]
    return "\n".join([*parts, "Sample:", *(f"  {line}" for line in one.sample.splitlines())]) + "\n"


def _option(option: Option) -> str:
    value = "required" if option.required else f"default {json.dumps(option.default, ensure_ascii=False, default=str)}"
    line = f"  {option.name}: {option.type}, {value}"
    return f"{line}\n      {option.description}" if option.description else line
