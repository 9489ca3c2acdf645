"""The checkpoint in a file: what was written is read, and what is not ours is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockifyd.api import Drift, Unavailable
from stockifyd_postgres.checkpoint_file import CheckpointFile


def test_days_are_added(tmp_path: Path) -> None:
    """Each day keeps its offset until it moves."""
    file = CheckpointFile(tmp_path / "at", "q")
    assert {} == file.read()
    file.write({20261123: 5, 20261124: 7})
    file.write({20261124: 8})
    assert ({20261123: 5, 20261124: 8}, ["at"]) == (file.read(), [path.name for path in tmp_path.iterdir()])


def test_another_question_is_refused(tmp_path: Path) -> None:
    """Its offsets are of other messages: taking them would lose some."""
    CheckpointFile(tmp_path / "at", "one").write({1: 1})
    with pytest.raises(Drift, match="of other options"):
        CheckpointFile(tmp_path / "at", "two").read()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"question":"q","next":{"a":1}}'])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is not taken for an empty one."""
    (tmp_path / "at").write_bytes(content)
    with pytest.raises(Drift, match="is no checkpoint"):
        CheckpointFile(tmp_path / "at", "q").read()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Is waited for, with its name."""
    with pytest.raises(Unavailable, match="away"):
        CheckpointFile(tmp_path / "away" / "at", "q").write({1: 1})
