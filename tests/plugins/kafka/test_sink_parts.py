"""What the Kafka sink is made of, without a broker: options, records, partitions, meanings of errors."""

from __future__ import annotations

import msgspec
import pytest
from aiokafka import errors as kafka
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Drift, Message, Partition, Position, Reject, Table, Unavailable, configure
from stockifyd.testing import make_batch
from stockifyd_kafka import KafkaSink, KafkaSinkOptions
from stockifyd_kafka.errors import WRITING, meaning
from stockifyd_kafka.outgoing import PROVENANCE, headers_of, of_message, of_rows
from stockifyd_kafka.topic import Partitions

LEAST = {"brokers": "k:9092", "topic": "t"}


def options(**more: object) -> KafkaSinkOptions:
    found = configure(KafkaSink, {**LEAST, **more})
    assert isinstance(found, KafkaSinkOptions)
    return found


def same(number: int, _key: bytes | None) -> int:
    return number


def test_the_defaults_are_the_promised_ones() -> None:
    """The same partition, zstd, half a MiB at a time, half a minute."""
    found = options()
    assert ("same", "zstd", 524_288, 30_000) == (
        found.partition,
        found.compression,
        found.record_batch_max_bytes,
        found.delivery_timeout_ms,
    )


@pytest.mark.parametrize(
    ("more", "fact"),
    [
        ({"key": "strike"}, "key: names a column, and so needs `table`"),
        ({"security": "SASL_SSL"}, "needs `username` and `password`"),
        ({"delivery_timeout_ms": 10}, "Expected `int` >= 1000"),
        ({"group": "g"}, "unknown field `group`"),
    ],
)
def test_options_that_mean_nothing(more: dict[str, object], fact: str) -> None:
    """They are refused when the spec is read; the door's are those of the source."""
    with pytest.raises(msgspec.ValidationError) as found:
        options(**more)
    assert fact in str(found.value)


def test_every_option_is_described() -> None:
    """Each has a sentence for `plugins show`."""
    schema = msgspec.json.schema(KafkaSinkOptions, schema_hook=lambda _: {"type": "string"})
    assert [] == [n for n, s in schema["$defs"]["KafkaSinkOptions"]["properties"].items() if "description" not in s]


def test_provenance_replaces_that_of_an_earlier_pipeline() -> None:
    """The headers say where the last pipeline read it, once."""
    first = Message(Position(Partition("a", 1, "cluster"), 2), b"", headers=(("own", b"1"),))
    second = Message(Position(Partition("b", 3), 4), b"", headers=tuple(headers_of(first, 9)))
    assert [("own", b"1"), *zip(PROVENANCE, (b"b", b"3", b"4", b"0"), strict=True)] == headers_of(second, 0)


def test_a_time_that_nobody_knows_is_now() -> None:
    """A message without a time gets the one of its sending."""
    assert None is of_message(Message(Position(Partition("a"), 0), b"x"), 0, same).timestamp_ms


def test_keys_of_rows() -> None:
    """Texts as they are, other values as JSON has them, null as none."""
    values = ["a", 7, 1.5, None, b"\x00", True]
    batch = make_batch(1).with_table("t", Table(("k",), [(value,) for value in values], [len(values)]))
    records = of_rows(batch, "t", batch.tables["t"], key="k", choose=same)
    assert [b"a", b"7", b"1.5", None, b"\x00", b"true"] == [record.key for record in records]


def test_a_row_that_is_no_json() -> None:
    """Reject names it, in its table."""
    batch = make_batch(2).with_table("t", Table(("k",), [(1,), ("\ud800",), (3,)], [1, 3]))
    with pytest.raises(Reject, match="a row cannot be JSON: a lone surrogate in a text") as found:
        list(of_rows(batch, "t", batch.tables["t"], key=None, choose=same))
    assert ("t", 1) == (found.value.table, found.value.row)


@given(st.integers(0, 500), st.none() | st.binary(), st.integers(1, 200))
def test_any_key_has_a_partition(number: int, key: bytes | None, count: int) -> None:
    """One that is there, and always the same."""
    partitions = Partitions(options(partition="key"), lambda: count)
    assert partitions.choose(number, key) in range(count)
    assert partitions.choose(number, key) == partitions.choose(number + count, key)


@pytest.mark.parametrize("kind", WRITING)
def test_what_an_operator_must_cure(kind: type[BaseException]) -> None:
    """Each has its cure, and it speaks of writing."""
    found = meaning(kind("why"), "topic 't'", cures=WRITING)
    assert isinstance(found, Drift)
    assert found.hint and "Read on the topic" not in found.hint


def test_what_passes_is_waited_for() -> None:
    """All else is a broker that is away or sick."""
    for error in (kafka.NotEnoughReplicasError(), kafka.KafkaConnectionError(), TimeoutError()):
        assert isinstance(meaning(error, "topic 't'", cures=WRITING), Unavailable)
