"""The pipelines that ship: each has a test file, and its cases pass."""

from pathlib import Path

import pytest

from stockifyd.testing import PipelineCase, pipeline_cases

PIPELINES = Path(__file__).parents[1] / "pipelines"


@pytest.mark.parametrize("case", pipeline_cases(PIPELINES), ids=str)
def test_case(case: PipelineCase) -> None:
    """A case of a test file passes."""
    case.check()


def test_each_has_a_test_file() -> None:
    """No pipeline ships without one."""
    specs = {path.name.partition(".")[0] for path in PIPELINES.glob("*.yaml")}
    assert specs == {path.name.partition(".")[0] for path in (PIPELINES / "tests").glob("*.test.yaml")}
