"""The oracles: what must hold whatever breaks. Each answers with its violations; none is well.

O1 every message below the stored offset is rows, one dead letter, or inside a recorded gap; nothing is stored beyond it
O2 no row twice, on tables without a unique index
O3 the content of every message is what was sent
O4 the ledger's offsets are a contiguous chain for each partition, and epochs never fall
O5 in every snapshot exactly the messages below the offset are there, whole (kit.evidence.SnapshotReader feeds it)
O6 Kafka's committed offsets are not beyond the ledger's
O7 everything is stored, every worker runs, nothing is left paused
O8 no secret is in a log
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kit.feed import DEAD, Content, Place

Violations = list[str]
Gap = tuple[int, int, int]
"""Partition, first offset that was lost, first offset behind it."""


@dataclass(frozen=True)
class Stored:
    """What one snapshot of the database holds. `rows` without checksums serve O1, O2 and O5."""

    next: Mapping[int, int]
    rows: Mapping[Place, Content] = field(default_factory=dict)
    letters: Mapping[Place, int] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    floor: int = 0
    """Offsets below this were not looked at."""


class Move(NamedTuple):
    """One line of the audit of stockifyd.offsets; `before` is None where the partition came into being, `next` where it went."""

    partition: int
    before: int | None
    next: int | None
    epoch: int
    owner: str = ""
    at: float = 0.0


def lost(expected: Mapping[Place, Content], stored: Stored) -> Violations:
    """O1."""
    found = []
    for place, wanted in expected.items():
        partition, offset = place
        if offset < stored.floor or offset >= stored.next.get(partition, 0) or _in_gap(place, stored.gaps):
            continue
        rows, letters = stored.rows.get(place, DEAD), stored.letters.get(place, 0)
        if wanted == DEAD and (letters != 1 or _is_there(rows)):
            found.append(f"O1 {_named(place)} should be one dead letter: {letters} letters, {_told(rows)}")
        elif wanted != DEAD and letters:
            found.append(f"O1 {_named(place)} is good, and is a dead letter")
        elif rows.options < wanted.options or rows.snapshots < wanted.snapshots:
            found.append(f"O1 {_named(place)} should be {_told(wanted)}: {_told(rows)}")
    return found + _beyond(stored)


def doubled(expected: Mapping[Place, Content], stored: Stored) -> Violations:
    """O2."""
    return [
        f"O2 {_named(place)} should be {_told(expected.get(place, DEAD))}: {_told(rows)}"
        for place, rows in stored.rows.items()
        if place[1] >= stored.floor and _exceeds(rows, expected.get(place, DEAD))
    ]


def changed(expected: Mapping[Place, Content], stored: Stored) -> Violations:
    """O3; of messages that are there whole and once."""
    return [
        f"O3 {_named(place)} is there, but not as it was sent"
        for place, rows in stored.rows.items()
        if (wanted := expected.get(place, DEAD)) != rows and _told(wanted) == _told(rows)
    ]


def broken_chain(moves: Iterable[Move]) -> Violations:
    """O4; `moves` in the order in which they took effect."""
    found: Violations = []
    last: dict[int, Move] = {}
    for move in moves:
        name, known = f"O4 partition {move.partition}", last.get(move.partition)
        if move.next is None:
            found.append(f"{name} was deleted at {move.before}")
            continue
        if move.before != (known.next if known else None):
            found.append(f"{name} moved from {move.before} to {move.next}, and was at {known.next if known else None}")
        if move.before is not None and move.next < move.before:
            found.append(f"{name} went back from {move.before} to {move.next}")
        if known and move.epoch < known.epoch:
            found.append(f"{name} fell from epoch {known.epoch} to {move.epoch}")
        last[move.partition] = move
    return found


def torn(expected: Mapping[Place, Content], snapshot: Stored) -> Violations:
    """O5, of one snapshot."""
    return [f"O5 in a snapshot: {text}" for text in (*lost(expected, snapshot), *doubled(expected, snapshot))]


def ahead(committed: Mapping[int, int], stored: Mapping[int, int]) -> Violations:
    """O6."""
    return [
        f"O6 partition {partition}: Kafka's committed offset is {offset}, the ledger's {stored.get(partition)}"
        for partition, offset in committed.items()
        if offset > stored.get(partition, -1)
    ]


def behind(ends: Mapping[int, int], stored: Mapping[int, int], statuses: Sequence[Mapping[str, Any]] = ()) -> Violations:
    """O7."""
    found = [
        f"O7 partition {partition} ends at {end}, and is stored up to {stored.get(partition, 0)}"
        for partition, end in ends.items()
        if stored.get(partition, 0) != end
    ]
    stuck = [s for s in statuses if s["state"] != "running" or s["lag"]]
    return found + [f"O7 instance {s['instance_id']} is {s['state']} with a lag of {s['lag']}: {s['reason']}" for s in stuck]


def told_secrets(logs: Mapping[str, str], secrets: Iterable[str]) -> Violations:
    """O8."""
    return [
        f"O8 {name}, line {number}, holds a secret"
        for secret in secrets
        for name, text in logs.items()
        for number, line in enumerate(text.splitlines(), 1)
        if secret in line
    ]


def _beyond(stored: Stored) -> Violations:
    """Rows and dead letters at or behind the offset: they would come again."""
    there = [*(place for place, rows in stored.rows.items() if _is_there(rows)), *stored.letters]
    return [
        f"O1 {_named(place)} is stored, and the ledger is at {stored.next.get(place[0], 0)}"
        for place in there
        if place[1] >= stored.next.get(place[0], 0)
    ]


def _in_gap(place: Place, gaps: Iterable[Gap]) -> bool:
    return any(partition == place[0] and first <= place[1] < behind_it for partition, first, behind_it in gaps)


def _is_there(rows: Content) -> bool:
    return bool(rows.options or rows.snapshots)


def _exceeds(rows: Content, wanted: Content) -> bool:
    return rows.options > wanted.options or rows.snapshots > wanted.snapshots


def _named(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _told(rows: Content) -> str:
    return f"{rows.options} options and {rows.snapshots} snapshots"
