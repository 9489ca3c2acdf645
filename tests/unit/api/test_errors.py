"""Errors say one line, and what cures it."""
# what is expected stands first in an assert

import pytest

from stockifyd.api import Drift, Fenced, Reject, Retry, StockifydError, Unavailable
from stockifyd.api import errors as module

FIVE = (Retry, Unavailable, Reject, Drift, Fenced)


@pytest.mark.parametrize("kind", FIVE)
def test_reason_and_hint(kind: type[StockifydError]) -> None:
    """`str` is the reason; the hint stands apart."""
    error = kind("the pooler is away", hint="start it")
    assert ("the pooler is away", "the pooler is away", "start it") == (str(error), error.reason, error.hint)


@pytest.mark.parametrize("kind", FIVE)
def test_none_is_a_kind_of_another(kind: type[StockifydError]) -> None:
    """Each has a consequence of its own: no `except` for one catches another."""
    assert (StockifydError,) == kind.__bases__


def test_the_tree_is_drawn() -> None:
    """Every class of errors stands in the module's docstring."""
    tree = module.__doc__ or ""
    assert all(f"{kind.__name__} " in tree for kind in FIVE)


def test_a_reject_may_name_its_row() -> None:
    """Table, row and the far side's own code are optional, and nothing by default."""
    named, bare = Reject("too big", table="options", row=7, code="22003"), Reject("too big")
    assert (("options", 7, "22003"), ("", None, "")) == ((named.table, named.row, named.code), (bare.table, bare.row, bare.code))
