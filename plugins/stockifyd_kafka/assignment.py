"""The assignment machine: which partitions are ours, and when they may be read. Events in, actions out; no I/O, no clock.

aiokafka's listener must not wait (a member that waits there is evicted) and its exceptions are swallowed, so claiming goes
on beside it. What then may happen in which order is decided here and nowhere else:

    assigned -> [release what we held] -> claim -> seek -> resume -> fetch ... -> revoked -> release
                                   rewound or in doubt: prove membership first

Every event that makes earlier work worthless starts a new `generation`; what comes back from an older one is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Pause(Generic[P]):
    """Fetch nothing from these partitions. At once."""

    partitions: frozenset[P]


@dataclass(frozen=True, slots=True)
class Resume(Generic[P]):
    """Fetch from these partitions again. At once."""

    partitions: frozenset[P]


@dataclass(frozen=True, slots=True)
class Seek(Generic[P]):
    """Read on from these offsets. At once."""

    offsets: Mapping[P, int]


@dataclass(frozen=True, slots=True)
class Release(Generic[P]):
    """Give partitions back to the runtime, which drains them. Takes time; answer with `released`."""

    partitions: frozenset[P]


@dataclass(frozen=True, slots=True)
class Prove:
    """Commit something under our group generation. Takes time; answer with `proved` or `failed`."""

    generation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Claim(Generic[P]):
    """Claim all these partitions. Takes time; answer with `claimed` or `failed`."""

    generation: int
    partitions: frozenset[P]
    attempt: int


@dataclass
class Assignment(Generic[P]):
    """The state of one member of a group.

    The driver does every action that an event answers with at once and in order; asks `work` for the next thing that takes
    time, does one at a time, and says how it went; and fetches only while `may_fetch`, never two fetches at a time.
    """

    generation: int = 0
    assigned: frozenset[P] | None = None
    held: frozenset[P] = frozenset()
    """What the runtime believes is ours: claimed, or asked for, and not yet released."""
    positions: dict[P, int] = field(default_factory=dict)
    """The next offset of each claimed partition: behind what was handed out, never behind what was only fetched."""
    paused: bool = False
    working: bool = False
    fetching: bool = False
    _claimed: bool = False
    _proof_due: bool = False
    _seek_due: bool = False
    _attempt: int = 0

    @property
    def ready(self) -> bool:
        """Whether every assigned partition of this generation is claimed, and read from where it was claimed."""
        return self.assigned is not None and self._claimed and not self._proof_due and not self._seek_due

    @property
    def may_fetch(self) -> bool:
        """Whether a fetch may be started."""
        return self.ready and not self.fetching

    def standing(self, where: Mapping[P, int]) -> Mapping[P, int]:
        """Those of these partitions that are read, and are still there: nothing of them was handed out since."""
        if self.paused or not self.ready:
            return {}
        return {partition: at for partition, at in where.items() if self.positions.get(partition) == at}

    # What the group tells us.

    def on_assigned(self, partitions: Iterable[P]) -> list[Pause[P]]:
        """The group gave us these. Having joined is proof of membership."""
        self._forget()
        self.assigned = frozenset(partitions)
        return [Pause(self.assigned)]

    def on_revoked(self) -> None:
        """The group is about to deal anew: all that we had is to be released."""
        self._forget()
        self.assigned = None

    # What the runtime tells us.

    def on_rewound(self) -> list[Pause[P]]:
        """The runtime forgot everything and reads again: perhaps we were fenced, so membership is proved before claiming."""
        proof_due = bool(self.held) or self._proof_due
        self._forget()
        self.held, self.working, self._proof_due = frozenset(), False, proof_due
        return self._pause_all()

    def on_paused(self) -> list[Pause[P]]:
        """A sink is down: fetch nothing, now and after any new assignment."""
        self.paused = True
        return self._pause_all() if self.ready else []

    def on_resumed(self) -> list[Resume[P]]:
        """Fetch again."""
        self.paused = False
        return [Resume(self.assigned)] if self.ready and self.assigned else []

    # What we notice ourselves.

    def on_doubted(self) -> list[Pause[P]]:
        """We slept through a session: deliver nothing before membership is proved; then go on from our own positions."""
        if not self._claimed:
            return []
        self.generation += 1
        self._proof_due = self._seek_due = True
        self._attempt = 0
        return self._pause_all()

    def on_displaced(self) -> list[Pause[P]]:
        """A position is outside its log: release and claim again, which finds out why."""
        proof_due = self._proof_due
        self._forget()
        self._proof_due = proof_due
        return self._pause_all()

    # Work: one thing at a time that takes time.

    def work(self) -> Release[P] | Prove | Claim[P] | None:
        """The next thing to do, if there is any and nothing is being done."""
        if self.working:
            return None
        found = self._next_work()
        self.working = found is not None
        if isinstance(found, Claim):
            self.held = found.partitions
        return found

    def _next_work(self) -> Release[P] | Prove | Claim[P] | None:
        if self.held and not self._claimed:
            return Release(self.held)
        if self.assigned is None:
            return None
        if self._proof_due:
            return Prove(self.generation, self._attempt)
        return None if self._claimed else Claim(self.generation, self.assigned, self._attempt)

    def released(self) -> None:
        """The runtime has let go of all that we held."""
        self.working, self.held = False, frozenset()

    def proved(self, generation: int) -> list[Seek[P] | Resume[P]]:
        """A commit under our group generation was accepted."""
        self.working = False
        if generation != self.generation:
            return []
        self._proof_due, self._attempt = False, 0
        return self._settle()

    def claimed(self, generation: int, offsets: Mapping[P, int]) -> list[Seek[P] | Resume[P]]:
        """The partitions are ours, to be read from these offsets. Too late, they are released by the next work."""
        self.working = False
        if generation != self.generation:
            return []
        self._claimed = self._seek_due = True
        self._attempt, self.positions = 0, dict(offsets)
        return self._settle()

    def failed(self, generation: int) -> None:
        """A proof or a claim did not succeed; `work` gives it again, with `attempt` one higher."""
        self.working = False
        if generation == self.generation:
            self._attempt += 1

    # Fetching.

    def fetch_begun(self) -> int:
        """A fetch starts; answers with what to hand to its end."""
        self.fetching = True
        return self.generation

    def fetched(self, generation: int, positions: Mapping[P, int]) -> tuple[bool, list[Seek[P] | Resume[P]]]:
        """A fetch came back: whether to hand out what it brought, and what to do."""
        self.fetching = False
        if generation != self.generation or not self.ready:
            return False, self._settle()
        self.positions.update(positions)
        return True, []

    def fetch_failed(self, generation: int) -> list[Seek[P] | Resume[P]]:
        """A fetch raised: others' records may be gone while their positions moved, so all are sought anew."""
        self.fetching = False
        if generation == self.generation and self._claimed:
            self._seek_due = True
        return self._settle()

    # Inside.

    def _forget(self) -> None:
        self.generation += 1
        self._claimed = self._proof_due = self._seek_due = False
        self._attempt, self.positions = 0, {}

    def _pause_all(self) -> list[Pause[P]]:
        return [Pause(self.assigned)] if self.assigned else []

    def _settle(self) -> list[Seek[P] | Resume[P]]:
        # A fetch under way would move the positions after the seek: its end settles.
        if not (self._claimed and self._seek_due) or self._proof_due or self.fetching or self.assigned is None:
            return []
        self._seek_due = False
        found: list[Seek[P] | Resume[P]] = [Seek(dict(self.positions))]
        return found if self.paused else [*found, Resume(self.assigned)]
