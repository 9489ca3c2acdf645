"""What authors write type-checks, and what they get wrong is told: by mypy, as strict as this project's own."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))


def mypy(*paths: Path) -> str:
    """What mypy says of files, run where the project's options are."""
    done = subprocess.run([sys.executable, "-m", "mypy", *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(HERE.glob("accepted/*.py")), ids=lambda path: path.stem)
def test_what_authors_write_is_accepted(path: Path) -> None:
    """Components, contracts and hooks as documented have no error."""
    assert "Success: no issues found in 1 source file\n" == mypy(path)


def test_what_is_wrong_is_refused() -> None:
    """Every mistake is told; an expected error that does not come is one too (`unused-ignore`)."""
    assert "Success: no issues found in 1 source file\n" == mypy(HERE / "refused" / "mistakes.py")


def test_without_the_ignores_every_mistake_is_an_error(tmp_path: Path) -> None:
    """The file of mistakes really has as many errors as it says."""
    source = (HERE / "refused" / "mistakes.py").read_text()
    bare = tmp_path / "bare_mistakes.py"
    bare.write_text("\n".join(line.split("  # type: ignore")[0] for line in source.splitlines()))
    told = {int(line.split(":")[1]) for line in mypy(bare).splitlines() if ": error: " in line}
    assert {number for number, line in enumerate(source.splitlines(), 1) if "# type: ignore" in line} == told


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_examples_are_typed(folder: Path) -> None:
    """Strangers' plugins are as strict as ours."""
    assert "Success: no issues found in 2 source files\n" == mypy(*sorted(folder.glob("*.py")))
