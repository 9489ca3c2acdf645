"""Test files of pipelines (`*.test.yaml`) as tests of pytest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stockifyd.cases import Suite, case_files, load_suite, run_case
from stockifyd.registry import Registry


@dataclass(frozen=True, slots=True)
class PipelineCase:
    """One case of a test file. A file that is not well, or whose spec is not, is one case that fails."""

    path: str
    name: str
    suite: Suite = field(repr=False)
    index: int | None = None

    def check(self) -> None:
        """Run it. AssertionError says what is not as expected, as `stockifyd test` does; call it outside of an event loop."""
        failures: Sequence[object] = self.suite.findings
        if self.index is not None:
            with asyncio.Runner() as runner:
                failures = run_case(self.suite, self.index, runner).failures
        if failures:
            raise AssertionError("\n".join(map(str, failures)))

    def __str__(self) -> str:
        return f"{Path(self.path).name}: {self.name}"


def pipeline_cases(*paths: str | Path, plugin_files: Sequence[str | Path] = ()) -> list[PipelineCase]:
    """The cases of test files, and of all test files in folders, for `pytest.mark.parametrize("case", ..., ids=str)`.

    Plugins are those that are installed, and `plugin_files`. AssertionError where there is not one test file.
    """
    files = case_files(paths)
    if not files:
        raise AssertionError(f"there are no test files (NAME.test.yaml) in {', '.join(map(str, paths)) or 'nothing'}")
    registry = Registry.load(plugin_files)
    return [case for file in files for case in _cases(load_suite(file, registry))]


def _cases(suite: Suite) -> Iterator[PipelineCase]:
    if not suite.ok:
        yield PipelineCase(suite.path, "the files are well", suite)
        return
    for index, case in enumerate(suite.cases):
        yield PipelineCase(suite.path, case.name, suite, index)
