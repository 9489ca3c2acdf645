"""Samples and READMEs that say something else than the options' declaration are found."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from stockifyd.api import Batch, Config, Secret, Sink
from stockifyd.testing import check_readme, check_sample


class Into(msgspec.Struct, frozen=True):
    """Where a table goes."""

    name: str
    key: tuple[str, ...] = ()


class PailOptions(Config, frozen=True):
    """What a pail takes."""

    path: Annotated[str, Meta(description="Where.")]
    tables: dict[str, Into] = msgspec.field(default_factory=dict)
    size: Annotated[int, Meta(ge=1)] = 10
    mode: str = "slow"
    token: Secret | None = None


class Pail(Sink[PailOptions]):
    """Keeps things."""

    type = "pail"

    async def write(self, batch: Batch) -> None: ...


SAMPLE = """\
# A pail: it keeps things.
sinks:
  - type: other
  - type: pail
    name: mine
    path: ${WHERE:-/tmp}/x
    # tables: {options: {name: a}}
    # size: 10          # how much
    # mode: slow
    # token: ${TOKEN}
"""
README = """\
# Pail

| option | default | |
|---|---|---|
| `path` | required | where |
| `tables` | none | which |
| `size` | `10` | how much |
| `mode` | `slow` | how fast |
| `token` | none | who |
"""


def said(check: object, text: str, path: Path) -> str:
    path.write_text(text)
    try:
        check(Pail, path)  # type: ignore[operator]
    except AssertionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", ""),
        ("# size: 10", "# size: 11", "s.yaml: size is commented out with 11, and its default is 10"),
        ("    # mode: slow\n", "", "s.yaml: option 'mode' is missing"),
        ("# mode: slow", "# mood: slow", "s.yaml: option 'mode' is missing"),
        ("# size: 10", "size: 0", "s.yaml: Expected `int` >= 1 - at `$.size`"),
        ("# size: 10", "# size: 0", "s.yaml: Expected `int` >= 1 - at `$.size`"),
        ("path:", "paht:", "s.yaml: Object contains unknown field `paht`"),
        ("{name: a}", "{nam: a}", "s.yaml: Object missing required field `name` - at `$.tables[...]`"),
        ("type: pail", "type: pot", "s.yaml: it has no 'pail'"),
    ],
)
def test_samples(old: str, new: str, fault: str, tmp_path: Path) -> None:
    """What is missing, wrong, or commented out with something else than the default."""
    assert fault == said(check_sample, SAMPLE.replace(old, new), tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", ""),
        ("| `10` |", "| `11` |", "R.md: the default of 'size' is `10`, and not `11`"),
        ("| `slow` |", "| slow |", "R.md: the default of 'mode' is `slow`, and not slow"),
        ("| required |", "| none |", "R.md: the default of 'path' is required, and not none"),
        ("`token` | none", "`token` | `none`", "R.md: the default of 'token' is nothing, and not `none`"),
        ("`token` | none", "`token` | required", "R.md: the default of 'token' is nothing, and not required"),
        ("| `mode` | `slow` | how fast |\n", "", "R.md: option 'mode' has no row"),
        ("`mode`", "`mood`", "R.md: option 'mode' has no row\nR.md: there is no option 'mood'"),
        (README, "`pail.sample.yaml` shows all", ""),
    ],
)
def test_readmes(old: str, new: str, fault: str, tmp_path: Path) -> None:
    """A row too many or too few, and a default that is another."""
    assert fault == said(check_readme, README.replace(old, new) if old else README, tmp_path / "R.md")


@pytest.mark.parametrize("heading", ["pail", "Sink pail"])
def test_a_readme_of_several(heading: str, tmp_path: Path) -> None:
    """The table under the component's own heading counts, and that of its role where another role has the same type."""
    other = README.replace("# Pail", "# All\n\n## Source pail\n\n## pot").replace("`10`", "`99`")
    assert said(check_readme, other + f"\n## {heading}\n\n" + README.split("\n", 2)[2], tmp_path / "R.md") == ""


def test_a_sample_of_several(tmp_path: Path) -> None:
    """Each use of the component is looked at, and together they show every option."""
    two = SAMPLE.replace("    # size: 10          # how much\n", "") + "  - type: pail\n    path: /tmp/y\n    # size: 10\n"
    assert said(check_sample, two, tmp_path / "s.yaml") == ""
    assert "size is commented out with 11" in said(check_sample, two.replace("10", "11"), tmp_path / "s.yaml")
    assert "unknown field `paht`" in said(check_sample, two.replace("path: /tmp/y", "paht: /tmp/y"), tmp_path / "s.yaml")
