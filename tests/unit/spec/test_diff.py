"""What a reload would restart."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from stockifyd.registry import Registry
from stockifyd.spec import Spec, loads
from stockifyd.spec.diff import difference

TEXT = """version: 1
name: storage
source: {type: kafka, brokers: 'localhost:9092', topics: [a], group: g}
transforms:
  - {type: decode}
  - {type: flatten, table: rows, columns: {a: {type: int}}}
sinks:
  - {type: postgres, tables: {rows: {into: rows}}}
delivery: {batch_max_rows: 100}
"""
SECOND = "  - {type: postgres, name: second, tables: {rows: {into: more}}}\n"
REGISTRY = Registry.load(built_in=True)


def spec(text: str = TEXT) -> Spec:
    loaded = loads(text.encode(), REGISTRY)
    assert loaded.spec is not None, loaded.findings
    return loaded.spec


def test_equal_specs_differ_in_nothing() -> None:
    """Comments and order of keys are no difference."""
    found = difference(spec(), spec("# a comment\n" + TEXT))
    assert ("nothing", "nothing", False) == (found.effect, str(found), found.rebalances)


@pytest.mark.parametrize(
    ("before", "after", "effect", "told"),
    [
        ("topics: [a]", "topics: [a, b]", "restart", "the source"),
        ("{into: rows}", "{into: others}", "between batches", "'postgres' changed"),
        ("  - {type: decode}\n", "", "between batches", "'decode' removed"),
        ("batch_max_rows: 100", "batch_max_rows: 200", "between batches", "delivery.batch_max_rows"),
        ("batch_max_rows: 100", "batch_max_rows: 100, lanes: 2", "lanes anew", "delivery.lanes"),
        (
            "sinks:\n",
            "sinks:\n  - {type: postgres, name: second, tables: {rows: {into: more}}}\n",
            "between batches",
            "'second' added",
        ),
    ],
)
def test_a_difference_has_its_effect(before: str, after: str, effect: str, told: str) -> None:
    """Only another source leaves the group."""
    changed = TEXT.replace("{type: postgres,", "{type: postgres, name: postgres,").replace(before, after)
    found = difference(spec(TEXT.replace("{type: postgres,", "{type: postgres, name: postgres,")), spec(changed))
    assert (effect, told, effect == "restart") == (found.effect, str(found), found.rebalances)


def test_the_order_of_transforms_is_a_difference() -> None:
    """Though each is the same."""
    one = spec()
    other = replace(one, transforms=one.transforms[::-1])
    assert "between batches" == difference(one, other).effect


def test_every_option_of_delivery_is_compared() -> None:
    """None is forgotten when one is added."""
    one = spec()
    for name in type(one.delivery).__struct_fields__:
        other = replace(one, delivery=msgspec.structs.replace(one.delivery, **{name: object()}))
        assert name in difference(one, other).delivery
