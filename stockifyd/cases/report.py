"""Runs test files and keeps what came of them: for people, for scripts, for CI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stockifyd.cases.judging import Failure, Judge
from stockifyd.cases.model import Case
from stockifyd.cases.running import run
from stockifyd.cases.suite import Suite, case_files, load_suite
from stockifyd.registry import Registry
from stockifyd.spec import Finding, Mark

Verdict = Literal["passed", "failed", "error"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case. `error`: it was ended by an error that it does not expect."""

    name: str
    mark: Mark
    failures: tuple[Failure, ...]
    secs: float

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        if any(failure.is_error for failure in self.failures):
            return "error"
        return "failed" if self.failures else "passed"


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """What came of a test file: findings, where it or its spec is not well, else an outcome for each case."""

    path: str
    pipeline: str
    findings: tuple[Finding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all of them."""

    suites: tuple[SuiteReport, ...] = field(default=())

    @property
    def outcomes(self) -> list[Outcome]:
        """Of all cases."""
        return [outcome for suite in self.suites for outcome in suite.outcomes]

    @property
    def findings(self) -> list[Finding]:
        """Of all files: what kept cases from running."""
        return [finding for suite in self.suites for finding in suite.findings]

    @property
    def ok(self) -> bool:
        """All files are well, there are cases, and all of them passed."""
        return bool(self.suites) and not self.findings and all(outcome.verdict == "passed" for outcome in self.outcomes)

    def plain(self) -> dict[str, Any]:
        """As one JSON document."""
        return {"ok": self.ok, "files": [_plain_suite(suite) for suite in self.suites]}


def run_files(paths: Iterable[str | Path], registry: Registry, wanted: Collection[str] = ()) -> Report:
    """Run the cases of files and folders, one after another; of `wanted`, those whose file or name has one of these texts."""
    suites = [load_suite(path, registry) for path in case_files(paths)]
    with asyncio.Runner() as runner:
        reports = [_report(suite, indexes, runner) for suite, indexes in _selected(suites, wanted)]
    return Report(tuple(reports))


def run_case(suite: Suite, index: int, runner: asyncio.Runner) -> Outcome:
    """Run one case of a test file that is well."""
    assert suite.spec is not None
    assert suite.file is not None
    case = suite.cases[index]
    began = time.perf_counter()
    trace = runner.run(run(suite.spec, suite.messages[index], clock=case.clock or suite.file.clock, outside=case.outside))
    judge = Judge(suite.document, ("cases", index, "expect"), suite.file.tolerance)
    failures = tuple(judge.failures(case.expect, trace))
    return Outcome(case.name, suite.document.mark(("cases", index)), failures, time.perf_counter() - began)


def _selected(suites: Iterable[Suite], wanted: Collection[str]) -> Iterator[tuple[Suite, list[int]]]:
    for suite in suites:
        indexes = [i for i, case in enumerate(suite.cases) if _is_wanted(suite, case, wanted)]
        if indexes or not suite.cases:
            yield suite, indexes


def _is_wanted(suite: Suite, case: Case, wanted: Collection[str]) -> bool:
    text = f"{suite.path}::{case.name}".lower()
    return not wanted or any(word.lower() in text for word in wanted)


def _report(suite: Suite, indexes: Iterable[int], runner: asyncio.Runner) -> SuiteReport:
    pipeline = suite.spec.name if suite.spec else ""
    if not suite.ok:
        return SuiteReport(suite.path, pipeline, suite.findings)
    return SuiteReport(suite.path, pipeline, (), tuple(run_case(suite, index, runner) for index in indexes))


def _plain_suite(suite: SuiteReport) -> dict[str, Any]:
    return {
        "path": suite.path,
        "pipeline": suite.pipeline,
        "findings": [plain_finding(finding) for finding in suite.findings],
        "cases": [
            {
                "name": outcome.name,
                "line": outcome.mark.line,
                "verdict": outcome.verdict,
                "secs": round(outcome.secs, 6),
                "failures": [{**plain_finding(f.finding), "drawing": f.drawing} for f in outcome.failures],
            }
            for outcome in suite.outcomes
        ],
    }


def plain_finding(finding: Finding) -> dict[str, Any]:
    """A finding for JSON."""
    return {
        "file": finding.file,
        "line": finding.mark.line,
        "column": finding.mark.column,
        "path": finding.path,
        "fact": finding.fact,
        "hint": finding.hint,
    }
