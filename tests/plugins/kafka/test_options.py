"""Options of the Kafka source: what is accepted, and what is said of what is not."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

import stockifyd_kafka
from stockifyd.api import Drift, StockifydError, Unavailable, configure
from stockifyd_kafka import Kafka, KafkaOptions
from stockifyd_kafka.claiming import Beginning, brief
from stockifyd_kafka.errors import CURES, meaning

SAMPLE = Path(stockifyd_kafka.__file__).with_name("kafka.sample.yaml")
LEAST = {"brokers": "k:9092", "topics": ["t"], "group": "g"}


def options(**more: object) -> KafkaOptions:
    found = configure(Kafka, {**LEAST, **more})
    assert isinstance(found, KafkaOptions)
    return found


def test_the_defaults_are_the_promised_ones() -> None:
    """A session of 6 s, and joins of a minute: a killed member's partitions flow within 7 s."""
    found = options()
    assert (
        found.session_timeout_ms,
        found.heartbeat_interval_ms,
        found.rebalance_timeout_ms,
        found.metadata_max_age_ms,
    ) == (6_000, 500, 60_000, 30_000)
    assert (
        found.fetch_min_bytes,
        found.fetch_max_wait_ms,
        found.fetch_max_bytes,
        found.max_partition_fetch_bytes,
    ) == (10_240, 1_000, 4 * 2**20, 2**20)
    assert (found.start, found.isolation, found.on_gap, found.membership) == ("earliest", "read_committed", "halt", "dynamic")


@pytest.mark.parametrize("start", ["earliest", "latest", "committed"])
def test_words_are_no_times(start: str) -> None:
    """The three words of `start` have no time."""
    assert options(start=start).start_ms is None


def test_a_time_is_read_with_its_zone() -> None:
    """09:15 in India is 03:45 UTC."""
    assert options(start="2026-11-24T09:15:00+05:30").start_ms == options(start="2026-11-24T03:45:00Z").start_ms == 1795491900000


@pytest.mark.parametrize("start", ["yesterday", "2026-11-24", "2026-11-24T09:15:00", "", "Earliest"])
def test_other_starts_are_refused_with_their_value(start: str) -> None:
    """A time without a zone, a day, a typing error: refused, and shown."""
    with pytest.raises(msgspec.ValidationError, match=repr(start)):
        options(start=start)


@given(st.text())
def test_no_start_breaks_the_parser(start: str) -> None:
    """Any text is a start or a finding."""
    try:
        options(start=start)
    except msgspec.ValidationError as error:
        assert "start" in str(error)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"security": "SASL_SSL"}, "username"),
        ({"username": "u"}, "SASL"),
        ({"tls_ca_file": "ca.pem"}, "security"),
        ({"security": "SSL", "tls_key_file": "key.pem"}, "tls_cert_file"),
        ({"heartbeat_interval_ms": 3000}, "third"),
        ({"rebalance_timeout_ms": 5000}, "rebalance_timeout_ms"),
        ({"topics": []}, "topics"),
        ({"brokers": ""}, "brokers"),
        ({"group_id": "g"}, "group_id"),
    ],
)
def test_contradictions_are_refused(more: dict[str, object], word: str) -> None:
    """Options that cannot hold together name the one to change."""
    with pytest.raises(msgspec.ValidationError, match=word):
        options(**more)


def test_a_password_is_not_printed() -> None:
    """Options may be logged."""
    assert "hunter2" not in repr(options(security="SASL_SSL", username="u", password="hunter2"))


def test_every_option_is_described() -> None:
    """Help and schema come from the descriptions."""
    schema = msgspec.json.schema(KafkaOptions, schema_hook=lambda _: {"type": "string"})
    bare = [n for n, s in schema["$defs"]["KafkaOptions"]["properties"].items() if "description" not in s]
    assert bare == []


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [([], "[]"), ([3], "[3]"), (range(5), "[0, 1, 2, 3, 4]"), (range(30), "[0, 1, 2, ..., 29]")],
)
def test_long_lists_are_elided(numbers: list[int], shown: str) -> None:
    """Three, dots, the last."""
    assert shown == brief(TopicPartition("t", n) for n in numbers)


def test_several_topics_have_a_list_each() -> None:
    """Numbers alone would say nothing."""
    assert brief([TopicPartition("b", 7), TopicPartition("a", 1), TopicPartition("a", 0)]) == "a [0, 1], b [7]"


def test_a_partition_added_later_is_new() -> None:
    """It was not there when the source was opened."""
    beginning = Beginning(frozenset({TopicPartition("t", 0)}), {})
    assert [beginning.is_new(TopicPartition("t", n)) for n in (0, 1)] == [False, True]


def test_a_partition_without_a_commit_in_a_read_topic_is_new() -> None:
    """It was added while nobody was reading."""
    tps = [TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("other", 0)]
    beginning = Beginning(frozenset(tps), {tps[0]: 5})
    assert [beginning.is_new(tp) for tp in tps] == [False, True, False]


@pytest.mark.parametrize("kind", CURES)
def test_errors_for_an_operator_have_a_cure(kind: type[BaseException]) -> None:
    """They halt, with a hint; the network's do not."""
    found = meaning(kind("why"), "doing")
    assert isinstance(found, Drift)
    assert found.hint
    assert isinstance(meaning(ConnectionRefusedError("no"), "doing"), Unavailable)


def test_an_own_error_stays_what_it_is() -> None:
    """What the runtime knows is not wrapped."""
    error: StockifydError = Unavailable("away")
    assert meaning(error, "doing") is error


def test_the_sample_shows_every_option_with_its_default() -> None:
    """What is commented there is what holds without it."""
    text = SAMPLE.read_text()
    shown = dict(re.findall(r"^  # (\w+): (.*?)(?: +#.*)?$", text, re.MULTILINE))
    defaults = {f.name: f.default for f in msgspec.structs.fields(KafkaOptions) if not f.required}
    assert yaml.safe_load("\n".join(f"{name}: {value}" for name, value in shown.items())) == defaults
