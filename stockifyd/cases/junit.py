"""A report as JUnit XML, the form that CI servers read."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from stockifyd.cases.report import Outcome, Report, SuiteReport
from stockifyd.spec import Finding


def junit(report: Report) -> bytes:
    """The XML. A file that is not well is one case with an error, so that no CI takes it for passed."""
    root = ET.Element("testsuites", {"name": "stockifyd test", **_totals(report.suites)})
    for suite in report.suites:
        of_file = ET.SubElement(root, "testsuite", {"name": suite.path, **_totals([suite])})
        if suite.findings:
            case = ET.SubElement(of_file, "testcase", name="the files are well", classname=suite.path, file=suite.path, time="0")
            text = "\n".join(map(str, suite.findings))
            ET.SubElement(case, "error", message=_clean(suite.findings[0].fact), type="finding").text = _clean(text)
        for outcome in suite.outcomes:
            of_file.append(_case(suite, outcome))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: SuiteReport, outcome: Outcome) -> ET.Element:
    named = {"name": _clean(outcome.name), "classname": suite.path, "time": f"{outcome.secs:.6f}"}
    case = ET.Element("testcase", {**named, "file": suite.path, "line": str(outcome.mark.line)})
    if outcome.failures:
        first: Finding = outcome.failures[0].finding
        kind = "error" if outcome.verdict == "error" else "failure"
        told = ET.SubElement(case, kind, message=_clean(f"{first.path}: {first.fact}"), type=kind)
        told.text = _clean("\n".join(map(str, outcome.failures)))
    return case


def _totals(suites: Iterable[SuiteReport]) -> dict[str, str]:
    suites = list(suites)
    verdicts = [outcome.verdict for suite in suites for outcome in suite.outcomes]
    broken = sum(bool(suite.findings) for suite in suites)
    return {
        "tests": str(len(verdicts) + broken),
        "failures": str(verdicts.count("failed")),
        "errors": str(verdicts.count("error") + broken),
        "skipped": "0",
        "time": f"{sum(outcome.secs for suite in suites for outcome in suite.outcomes):.6f}",
    }


def _clean(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
