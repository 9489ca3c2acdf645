"""Mutations keep up with the code they break."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from mutations.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_tree(mutation: Mutation) -> None:
    """What it changes is there, once, and is Python afterwards."""
    texts = defaultdict[str, str](str)
    for change in mutation.changes:
        texts[change.file] = change.applied(texts[change.file] or (ROOT / change.file).read_text())
    for file, text in texts.items():
        compile(text, file, "exec")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_its_tests_are_there(mutation: Mutation) -> None:
    """They are files or folders of the suite."""
    assert [path for path in mutation.tests if not (ROOT / path).exists()] == []
