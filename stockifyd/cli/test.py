"""`stockifyd test`: the cases beside the pipelines. No network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stockifyd.api import StockifydError
from stockifyd.cli.settings import EX_CONFIG, Settings

if TYPE_CHECKING:
    from stockifyd.cases import Report, SuiteReport

DEFAULT = "pipelines"


@click.command()
@click.argument("paths", metavar="[DIR|FILE...]", nargs=-1, type=click.Path())
@click.option("-k", "wanted", metavar="TEXT", multiple=True, help="Only cases whose file or name has TEXT; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False), metavar="FILE", help="Also write JUnit XML, for CI.")
@click.pass_obj
def test(
    settings: Settings, /, paths: tuple[str, ...], wanted: tuple[str, ...], *, as_json: bool, junit_file: str | None
) -> None:
    """Run the cases in test files (*.test.yaml), of folders all in and below them; default: pipelines.

    Messages go through the transforms of a spec; its source and its sinks are not touched. Exit codes: 0 all passed, 1 a case
    failed, 78 a bad test file or spec, or nothing to run.
    """
    from stockifyd.cases import junit, run_files  # noqa: PLC0415  `--help` needs none of it

    report = run_files(paths or (DEFAULT,), settings.registry, wanted)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report.plain())).decode())
    else:
        _print(report)
    if not report.suites:
        click.echo(_nothing(paths, wanted), err=True)
    if junit_file is not None:
        _write(Path(junit_file), junit(report))
    raise click.exceptions.Exit(EX_CONFIG if report.findings or not report.suites else int(not report.ok))


def _print(report: Report) -> None:
    for suite in report.suites:
        _print_suite(suite)
    verdicts = [outcome.verdict for outcome in report.outcomes]
    counts = [f"{verdicts.count('passed')} passed", f"{len(verdicts) - verdicts.count('passed')} failed"]
    bad = sum(bool(suite.findings) for suite in report.suites)
    told = [
        f"{len(verdicts)} case{'' if len(verdicts) == 1 else 's'}",
        *counts,
        *([f"{bad} bad file{'' if bad == 1 else 's'}"] if bad else []),
    ]
    click.echo(", ".join(told))


def _print_suite(suite: SuiteReport) -> None:
    click.echo(f"{suite.path}: pipeline {suite.pipeline!r}" if suite.pipeline else suite.path)
    for finding in suite.findings:
        click.echo(str(finding))
    for outcome in suite.outcomes:
        click.echo(f"  {outcome.verdict:<6}  {outcome.name}")
        for failure in outcome.failures:
            click.echo(str(failure))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StockifydError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error


def _nothing(paths: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if wanted:
        return f"stockifyd: no case has {' or '.join(map(repr, wanted))} in its file or name"
    where = ", ".join(paths or (DEFAULT,))
    return f"stockifyd: there are no test files in {where}\n  HINT: a test file is called NAME.test.yaml"
