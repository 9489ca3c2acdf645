"""`stockifyd validate`: every finding of specs at once, and what the pipelines promise. No network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from stockifyd.cli.settings import Settings

if TYPE_CHECKING:  # `--help` imports this module, and needs no spec
    from stockifyd.spec import Loaded


@click.command()
@click.argument("specs", metavar="SPEC|DIR...", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def validate(settings: Settings, /, specs: tuple[str, ...], *, as_json: bool) -> None:
    """Check specs without a network. Exit code 1 if one has an error; warnings are no errors."""
    from stockifyd.spec import load_all  # noqa: PLC0415  see above

    loaded = load_all(specs, settings.registry, strict=False)
    ok = all(one.ok for one in loaded)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"ok": ok, "specs": [_plain(one) for one in loaded]})).decode())
    else:
        for one in loaded:
            _print(one)
        click.echo(_summary(loaded))
    raise click.exceptions.Exit(0 if ok else 1)


def _print(loaded: Loaded) -> None:
    from stockifyd.spec.guarantee import PLAIN  # noqa: PLC0415  see above

    for finding in loaded.findings:
        click.echo(str(finding))
    if loaded.guarantee is None:
        return
    click.echo(f"{loaded.path}: pipeline {loaded.pipeline!r} promises {PLAIN[loaded.guarantee]}")
    for promise in loaded.promises:
        given = (
            PLAIN[promise.guarantee] if promise.guarantee else "not required: batches that it cannot take are dropped and counted"
        )
        click.echo(f"  sink {promise.sink!r}: {given}")


def _summary(loaded: list[Loaded]) -> str:
    severities = [finding.severity for one in loaded for finding in one.findings]
    counts = ((len(loaded), "spec"), (severities.count("error"), "error"), (severities.count("warning"), "warning"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def _plain(loaded: Loaded) -> dict[str, Any]:
    return {
        "path": loaded.path,
        "ok": loaded.ok,
        "pipeline": loaded.pipeline,
        "guarantee": loaded.guarantee,
        "sinks": [{"name": p.sink, "guarantee": p.guarantee, "required": p.required} for p in loaded.promises],
        "findings": [
            {
                "severity": f.severity,
                "line": f.mark.line,
                "column": f.mark.column,
                "path": f.path,
                "fact": f.fact,
                "hint": f.hint,
            }
            for f in loaded.findings
        ],
    }
