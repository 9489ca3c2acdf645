"""Each oracle objects to the state it is there for, and to no other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kit import oracles
from kit.evidence import Books
from kit.feed import DEAD, Content, Feed, Place, content_of, place_of, stamp
from kit.oracles import Move, Stored
from kit.platform_judged import unlike_figures, unlike_rows
from kit.stream import Copy, unlike
from kit.wholeness import WholenessReader

WHOLE = Content(20, 1, 111)
EXPECTED: dict[Place, Content] = {(0, 0): WHOLE, (0, 1): Content(20, 1, 222), (0, 2): DEAD, (0, 3): WHOLE, (1, 0): WHOLE}
ROWS = {(0, 0): WHOLE, (0, 1): Content(20, 1, 222), (1, 0): WHOLE}
WELL = Stored(next={0: 3, 1: 1}, rows=ROWS, letters={(0, 2): 1})
CHAIN = [Move(0, None, 0, 1), Move(0, 0, 2, 1), Move(1, None, 5, 1), Move(0, 2, 2, 2), Move(0, 2, 3, 2), Move(1, 5, 6, 1)]


def objections(stored: Stored) -> list[str]:
    """The oracles that object to a state."""
    found = [*oracles.lost(EXPECTED, stored), *oracles.doubled(EXPECTED, stored), *oracles.changed(EXPECTED, stored)]
    return sorted({text[:2] for text in found})


def test_nobody_objects_to_what_is_well() -> None:
    """Rows below the offset, a dead letter for the bad one, and what is beyond not there yet."""
    assert [] == objections(WELL)
    assert [] == oracles.torn(EXPECTED, WELL)
    assert [] == oracles.broken_chain(CHAIN)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        pytest.param(replace(WELL, rows={p: c for p, c in ROWS.items() if p != (0, 1)}), ["O1"], id="a message is missing"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 1): Content(19, 1, 9)}), ["O1"], id="a row is missing"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 1): Content(20, 0, 9)}), ["O1"], id="the snapshot is missing"),
        pytest.param(replace(WELL, letters={}), ["O1"], id="a dead letter is missing"),
        pytest.param(replace(WELL, letters={(0, 2): 2}), ["O1"], id="two dead letters"),
        pytest.param(replace(WELL, letters={(0, 2): 1, (0, 1): 1}), ["O1"], id="a good message is a dead letter"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 2): Content(1, 1, 9)}), ["O1", "O2"], id="rows of a bad message"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 3): WHOLE}), ["O1"], id="rows beyond the offset"),
        pytest.param(replace(WELL, letters={(0, 2): 1, (1, 1): 1}), ["O1"], id="a dead letter beyond the offset"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 1): Content(40, 2, 9)}), ["O2"], id="a doubled message"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 1): Content(21, 1, 9)}), ["O2"], id="a doubled row"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 1): Content(20, 2, 9)}), ["O2"], id="a doubled snapshot"),
        pytest.param(replace(WELL, rows=ROWS | {(0, 1): Content(20, 1, 9)}), ["O3"], id="a changed value"),
    ],
)
def test_wrong_state_is_objected_to(wrong: Stored, expected: list[str]) -> None:
    """By the oracle whose business it is."""
    assert expected == objections(wrong)


def test_gap_excuses_what_is_inside_it() -> None:
    """And nothing beside it."""
    lacking = replace(WELL, rows={(1, 0): WHOLE})
    assert [] == oracles.lost(EXPECTED, replace(lacking, gaps=[(0, 0, 2)]))
    assert 1 == len(oracles.lost(EXPECTED, replace(lacking, gaps=[(0, 0, 1)])))
    assert 2 == len(oracles.lost(EXPECTED, replace(lacking, gaps=[(1, 0, 2)])))


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param([*CHAIN, Move(0, 4, 5, 2)], id="a hole"),
        pytest.param([*CHAIN, Move(0, 3, 2, 2)], id="a step back"),
        pytest.param([*CHAIN, Move(0, 3, 4, 1)], id="a fallen epoch"),
        pytest.param([*CHAIN, Move(0, 3, None, 2)], id="a deleted line"),
        pytest.param([*CHAIN, Move(0, None, 0, 3)], id="a second birth"),
        pytest.param([Move(0, 0, 1, 1)], id="no birth"),
    ],
)
def test_broken_chain_is_objected_to(moves: list[Move]) -> None:
    """O4: one violation for one break."""
    assert 1 == len(oracles.broken_chain(moves))


def test_half_a_chain_in_a_snapshot_is_objected_to() -> None:
    """O5: rows before their offset, and an offset before its rows."""
    early = replace(WELL, rows=ROWS | {(0, 3): Content(7, 0, 0)})
    late = replace(WELL, next={0: 4, 1: 1})
    assert ["O5 in a snapshot: O1 0/3 is stored, and the ledger is at 3"] == oracles.torn(EXPECTED, early)
    assert 1 == len(oracles.torn(EXPECTED, late))


def test_snapshot_from_a_floor_on_says_nothing_of_what_is_below() -> None:
    """What was not looked at is not missing."""
    assert [] == oracles.torn(EXPECTED, Stored(next={0: 3, 1: 1}, letters={(0, 2): 1}, floor=2))


def test_kafka_ahead_of_the_ledger_is_objected_to() -> None:
    """O6: behind and level are well."""
    assert [] == oracles.ahead({0: 3, 1: 0}, WELL.next)
    assert 1 == len(oracles.ahead({0: 4}, WELL.next))
    assert 1 == len(oracles.ahead({7: 0}, WELL.next))


def test_lag_and_a_paused_worker_are_objected_to() -> None:
    """O7: of partitions and of workers."""
    running = {"state": "running", "lag": 0, "instance_id": 1, "reason": ""}
    assert [] == oracles.behind({0: 3, 1: 1}, WELL.next, [running])
    assert 1 == len(oracles.behind({0: 4, 1: 1}, WELL.next, [running]))
    assert 1 == len(oracles.behind({}, {}, [running | {"state": "waiting"}]))
    assert 1 == len(oracles.behind({}, {}, [running | {"lag": 7}]))


def test_secret_in_a_log_is_objected_to() -> None:
    """O8: with the line, and without the secret."""
    found = oracles.told_secrets({"a": "fine\nurl postgresql://u:hush@h", "b": "fine"}, ["hush"])
    assert ["O8 a, line 2, holds a secret"] == found


def test_feed_repeats_itself_for_the_same_seed() -> None:
    """The same chains, and the same checksums; another seed gives others."""
    first, again, other = (Feed([], "t", 2, seed=seed).chain(1) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_feed_knows_the_rows_of_its_chains() -> None:
    """The checksum is that of the options and the context as JSON has them, whatever the order of rows."""
    value, content = Feed([], "t", 2, seed=7).chain(1, options=500)
    chain = json.loads(value)
    options = [tuple(option.values()) for option in chain["options"]]
    snapshot = (chain["options"][0]["expiry"], *chain["context"].values())
    assert content == content_of(options[::-1], [snapshot])
    assert content != content_of([*options[1:], options[1]], [snapshot])
    assert (500, 1) == (content.options, content.snapshots)


def test_place_is_read_back_from_symbol_and_time() -> None:
    """A row tells its message."""
    from datetime import datetime

    assert (3, 86_400_123) == place_of(1003, datetime.fromisoformat(stamp(86_400_123)))


@pytest.mark.parametrize(
    ("made", "objection"),
    [
        ([(0, 0, 0, b"a"), (0, 1, 0, b"b"), (0, 0, 0, b"a"), (0, 1, 0, b"b")], ""),
        ([(0, 0, 0, b"a")], "(0, 1) is missing"),
        ([(0, 0, 0, b"a"), (0, 1, 0, b"b"), (0, 2, 0, b"c")], "(0, 2) should not be there"),
        ([(0, 0, 0, b"a"), (0, 1, 1, b"b")], "(0, 1) went to partition 1"),
        ([(0, 1, 0, b"b"), (0, 0, 0, b"a")], "(0, 0) is behind 1, and was not there before it"),
        ([(0, 0, 0, b"a"), (0, 1, 0, b"b"), (0, 0, 0, b"x")], "(0, 0) is at (0, 0) and at (0, 2), and not the same"),
    ],
)
def test_copies_in_a_topic(made: list[tuple[int, int, int, bytes]], objection: str) -> None:
    """Between two topics a message may come twice, as long as it is the same; nothing else."""
    copies = [Copy((at, offset), (to, number), value) for number, (at, offset, to, value) in enumerate(made)]
    assert ([objection] if objection else []) == unlike(copies, [(0, 0), (0, 1)])


@pytest.mark.parametrize(
    ("snapshots", "objections"),
    [
        ([(0, 0, 0, 0), (1, 20, 0, 0), (1, 20, 1, 20), (1, 20, 1, 20)], 0),
        ([(1, 0, 0, 0)], 1),
        ([(0, 20, 0, 0)], 1),
        ([(1, 20, 1, 0)], 1),
        ([(2, 40, 0, 0)], 1),
        ([(1, 19, 0, 0), (1, 20, 0, 0)], 1),
    ],
)
def test_chains_in_a_snapshot(snapshots: list[tuple[int, ...]], objections: int) -> None:
    """Of each table's pair a chain is there once and whole or not at all, and stays as it was."""
    reader = WholenessReader(Books("", "", ("", "")))
    for counts in snapshots:
        reader.judge([("NIFTY", "2026-12-01", 0, *counts)])
    assert (objections, len(snapshots)) == (len(reader.violations), reader.snapshots)


@pytest.mark.parametrize(("pcr", "pain", "objections"), [(2.0, 110.0, 0), (0.5, 110.0, 1), (None, 110.0, 1), (2.0, 100.0, 1)])
def test_figures_of_a_chain(pcr: float | None, pain: float, objections: int) -> None:
    """The ratio of puts to calls, and the strike at which least is paid: worked out by hand."""
    strikes = [
        {"strike_price": 100.0, "call_options": {"market_data": {"oi": 10}}},
        {"strike_price": 110.0, "put_options": {"market_data": {"oi": 20}}},
    ]  # at 100 the puts cost 20 * 10, at 110 the calls cost 10 * 10
    assert objections == len(list(unlike_figures(("NIFTY", "2026-12-01", 0, pcr, pain), strikes)))


def test_rows_of_chains() -> None:
    """A chain that is not there, one in part, one twice, and one that nobody polled; and none of those that are right."""
    wanted = {"a": 20, "b": 20, "c": 20, "d": 20}
    assert [] == list(unlike_rows("t", wanted, wanted))
    found = sorted(unlike_rows("t", {"a": 20, "b": 19, "c": 40, "e": 1}, wanted))
    assert ["0 rows of d", "1 rows of e", "19 rows of b", "40 rows of c"] == [text[6:].partition(",")[0] for text in found]
