"""Pipeline tests in YAML: messages through the transforms of a spec, and what comes of them beside what is expected."""

from stockifyd.cases.judging import Failure
from stockifyd.cases.junit import junit
from stockifyd.cases.report import Outcome, Report, SuiteReport, run_case, run_files
from stockifyd.cases.suite import Suite, case_files, load_suite

__all__ = [
    "Failure",
    "Outcome",
    "Report",
    "Suite",
    "SuiteReport",
    "case_files",
    "junit",
    "load_suite",
    "run_case",
    "run_files",
]
