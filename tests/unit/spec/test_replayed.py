"""A spec as it is replayed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stockifyd.api import Drift
from stockifyd.registry import Registry
from stockifyd.spec import Spec, loads
from stockifyd.spec.build import build_source
from stockifyd.spec.replayed import Interval, replayed

KAFKA = "{type: kafka, brokers: 'localhost:9092', topics: [a], group: g}"
POSTGRES = (
    "{type: postgres, table: rows, time_column: at, from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z', checkpoint: here}"
)
TEXT = """version: 1
name: storage
source: SOURCE
transforms:
  - {type: flatten, table: rows, columns: {a: {type: int}}}
sinks:
  - {type: postgres, name: main, tables: {rows: {into: rows, on_conflict: ignore}}}
  - {type: stdout, name: shown, table: rows}
delivery: {speed: 3}
"""
START = datetime(2026, 11, 24, 3, 45, tzinfo=UTC)
END = START + timedelta(hours=1)
REGISTRY = Registry.load(built_in=True)


def spec(source: str = KAFKA) -> Spec:
    loaded = loads(TEXT.replace("SOURCE", source).encode(), REGISTRY)
    assert loaded.spec is not None, loaded.findings
    return loaded.spec


def interval(**more: Any) -> Interval:
    return Interval(START, END, **more)


def test_it_reads_as_another_group() -> None:
    """Whose name says which replay it is, between the two times."""
    config: Any = replayed(spec(), interval()).spec.source.config
    assert ("g-replay-20261124T034500Z-20261124T044500Z", START.isoformat(), END.isoformat()) == (
        config.group,
        config.start,
        config.end,
    )


@pytest.mark.parametrize("source", [KAFKA, POSTGRES])
def test_the_same_words_are_the_same_replay(source: str) -> None:
    """It goes on where it was; other times, another schema or another name begin anew."""
    asked = [
        interval(),
        interval(into="again"),
        interval(name="second"),
        Interval(START, END + timedelta(microseconds=1)),
        Interval(START - timedelta(hours=1), END),
    ]
    consumers = [build_source(replayed(spec(source), one).spec).consumer for one in asked]
    assert len(asked) == len(set(consumers))
    ours = Interval(START.astimezone(), END.astimezone())
    assert consumers[0] == build_source(replayed(spec(source), ours).spec).consumer


def test_into_a_schema_only_what_knows_schemas_writes() -> None:
    """Tables go there by their names, and all else of them stays; other sinks have no part in it, and are named."""
    found = replayed(spec(), interval(into="again"))
    [one] = found.spec.sinks
    config: Any = one.config
    assert ("main", "again.rows", "ignore", ("shown",)) == (
        one.name,
        config.tables["rows"].into,
        config.tables["rows"].on_conflict,
        found.left_out,
    )


def test_without_a_schema_sinks_are_as_they_are() -> None:
    """All of them, with their options."""
    found = replayed(spec(), interval())
    assert (spec().sinks, ()) == (found.spec.sinks, found.left_out)


@pytest.mark.parametrize(("asked", "speed"), [(None, 3.0), (0.0, 0.0), (10.0, 10.0)])
def test_the_speed(asked: float | None, speed: float) -> None:
    """The spec's own, unless another one is asked for."""
    assert speed == replayed(spec(), interval(speed=asked)).spec.delivery.speed


def test_a_source_of_rows_has_a_checkpoint_and_a_name_of_its_own() -> None:
    """So that neither file nor ledger of the first one is touched."""
    found, label = replayed(spec(POSTGRES), interval()).spec, "storage-replay-20261124T034500Z-20261124T044500Z"
    config: Any = found.source.config
    assert (START, END, f"here.{label}", label) == (config.start, config.end, config.checkpoint, build_source(found).consumer)


@pytest.mark.parametrize(
    ("source", "into", "words"),
    [
        ("{type: file, path: in.jsonl}", "", "of type 'file' cannot read an interval"),
        (KAFKA, "public", "where the pipeline writes already"),
    ],
)
def test_what_cannot_be_replayed(source: str, into: str, words: str) -> None:
    """Is said before anything is read."""
    with pytest.raises(Drift, match=words):
        replayed(spec(source), interval(into=into))


def test_no_sink_that_knows_schemas() -> None:
    """There is nothing to do then."""
    one = spec()
    with pytest.raises(Drift, match="no sink of this pipeline writes into a schema"):
        replayed(replace(one, sinks=one.sinks[1:]), interval(into="again"))


def test_a_schema_that_is_none() -> None:
    """Is refused by its name."""
    with pytest.raises(ValueError, match="is not a table's name"):
        replayed(spec(), interval(into="a b"))
