"""The assignment machine under every order of events, beside a model of what aiokafka and the runtime do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stockifyd_kafka.assignment import Assignment, Claim, Pause, Prove, Release, Resume, Seek

ALL = range(4)
JUNK = 10_000  # where aiokafka would read an unclaimed partition from: some committed offset of its own


class Group(RuleBasedStateMachine):
    """A member, its consumer (positions, pauses), the runtime (held) and the ledger (stored)."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Assignment[int]()
        self.assigned: set[int] | None = None
        self.sought: set[int] = set()
        self.position: dict[int, int] = {}
        self.unpaused: set[int] = set()
        self.held: set[int] = set()
        self.given: dict[int, int] = {}  # next offset that the runtime expects
        self.stored = dict.fromkeys(ALL, 0)
        self.work: Release[int] | Prove | Claim[int] | None = None
        self.fetch: int | None = None
        self.fetch_assignment = 0
        self.assignments = 0
        self.wants_pause = False
        self.suspect = False  # fenced or asleep since the last proof or join

    def perform(self, actions: list[object]) -> None:
        for action in actions:
            match action:
                case Pause(partitions):
                    self.unpaused -= partitions
                case Resume(partitions):
                    assert not self.wants_pause
                    self.unpaused |= partitions
                case Seek(offsets):
                    assert self.fetch is None, "a fetch under way would move the position after the seek"
                    assert not self.suspect, "positions are restored only after membership is proved"
                    assert set(offsets) == self.assigned
                    self.position.update(offsets)
                    self.sought |= set(offsets)

    # The group.

    @precondition(lambda self: self.assigned is None)
    @rule(partitions=st.sets(st.sampled_from(ALL)))
    def assign(self, partitions: set[int]) -> None:
        self.assigned, self.sought, self.suspect = set(partitions), set(), False
        self.assignments += 1
        self.position = dict.fromkeys(partitions, JUNK)
        self.unpaused = set(partitions)
        self.perform(list(self.machine.on_assigned(partitions)))
        assert not self.unpaused

    @precondition(lambda self: self.assigned is not None)
    @rule()
    def revoke(self) -> None:
        self.machine.on_revoked()
        self.assigned = None

    # The runtime.

    @rule()
    def rewind(self) -> None:
        self.suspect = self.suspect or bool(self.held)
        self.held, self.given, self.work = set(), {}, None
        self.perform(list(self.machine.on_rewound()))

    @rule()
    def pause(self) -> None:
        self.wants_pause = True
        self.perform(list(self.machine.on_paused()))

    @rule()
    def resume(self) -> None:
        self.wants_pause = False
        self.perform(list(self.machine.on_resumed()))

    # What we notice.

    @rule()
    def sleep(self) -> None:
        self.suspect = self.suspect or self.machine.ready
        self.perform(list(self.machine.on_doubted()))

    @precondition(lambda self: self.assigned is not None)
    @rule()
    def displace(self) -> None:
        self.perform(list(self.machine.on_displaced()))

    # Work.

    @precondition(lambda self: self.work is None)
    @rule()
    def begin_work(self) -> None:
        self.work = self.machine.work()
        match self.work:
            case Release(partitions):
                assert set(partitions) == self.held
            case Claim(_, partitions):
                assert not self.held, "what was held is released before anything is claimed"
                assert not self.suspect, "membership is proved before claiming"
                assert set(partitions) == self.assigned
                self.held = set(partitions)

    @precondition(lambda self: self.work is not None)
    @rule(succeeds=st.booleans())
    def end_work(self, succeeds: bool) -> None:
        work, self.work = self.work, None
        match work:
            case Release():
                self.stored.update(self.given)
                self.held, self.given = set(), {}
                self.machine.released()
            case Prove(generation, _) if succeeds:
                if generation == self.machine.generation:
                    self.suspect = False
                self.perform(list(self.machine.proved(generation)))
            case Claim(generation, partitions, _) if succeeds:
                self.given = {p: self.stored[p] for p in partitions}
                self.perform(list(self.machine.claimed(generation, dict(self.given))))
            case Prove(generation, _) | Claim(generation, _, _):
                self.machine.failed(generation)

    @rule(partitions=st.sets(st.sampled_from(ALL), min_size=1))
    def get_to_read(self, partitions: set[int]) -> None:
        """A short way to where most can go wrong: assigned, and all work done."""
        if self.assigned is None:
            self.assign(partitions)
        for _ in range(6):
            if self.work is None:
                self.begin_work()
            if self.work is not None:
                self.end_work(succeeds=True)

    # Fetching.

    @precondition(lambda self: self.machine.may_fetch)
    @rule()
    def begin_fetch(self) -> None:
        assert self.fetch is None
        assert self.assigned == self.sought, "every assigned partition is claimed and sought"
        self.fetch = self.machine.fetch_begun()
        self.fetch_assignment = self.assignments

    def take(self, counts: dict[int, int]) -> dict[int, range]:
        """What aiokafka does: takes records of unpaused partitions, and moves their positions."""
        taken = {
            p: range(self.position[p], self.position[p] + n)
            for p, n in counts.items()
            if p in self.unpaused & (self.assigned or set())
        }
        self.position.update({p: lot.stop for p, lot in taken.items()})
        return taken

    @precondition(lambda self: self.fetch is not None)
    @rule(counts=st.dictionaries(st.sampled_from(ALL), st.integers(0, 3)))
    def end_fetch(self, counts: dict[int, int]) -> None:
        generation, self.fetch = self.fetch, None
        assert generation is not None
        taken = self.take(counts)
        deliver, actions = self.machine.fetched(generation, dict(self.position) if self.assigned else {})
        if deliver:
            assert not self.suspect
            for p, lot in taken.items():
                assert lot.start == self.given[p], "nothing lost, nothing twice"
                self.given[p] = lot.stop
        self.perform(list(actions))

    @precondition(lambda self: self.fetch is not None)
    @rule(counts=st.dictionaries(st.sampled_from(ALL), st.integers(0, 3)))
    def break_fetch(self, counts: dict[int, int]) -> None:
        generation, self.fetch = self.fetch, None
        assert generation is not None
        self.take(counts)  # gone, and the positions moved
        self.perform(list(self.machine.fetch_failed(generation)))

    # What always holds.

    @invariant()
    def reads_only_when_ready(self) -> None:
        if self.machine.may_fetch:
            assert self.assigned is not None
            assert self.sought == self.assigned
            assert self.held == self.assigned
            assert {p: self.position[p] for p in self.assigned} == {p: self.given[p] for p in self.assigned}

    @invariant()
    def pauses_hold(self) -> None:
        mine = self.assigned or set()
        if self.wants_pause:
            assert not self.unpaused & mine
        elif self.machine.may_fetch:
            assert self.unpaused & mine == mine

    @invariant()
    def always_goes_on(self) -> None:
        """Left alone with work that succeeds, a member with an assignment gets to read."""
        if self.assigned is None or self.work is not None or self.fetch is not None:
            return
        assert self.machine.ready or self.machine._next_work() is not None


TestGroup = Group.TestCase
TestGroup.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def claimed(*partitions: int) -> Assignment[int]:
    machine = Assignment[int]()
    machine.on_assigned(partitions)
    work = machine.work()
    assert isinstance(work, Claim)
    machine.claimed(work.generation, dict.fromkeys(partitions, 5))
    return machine


def test_a_late_claim_is_released() -> None:
    """A claim that ends after a rebalance is not read from, but given back."""
    machine = Assignment[int]()
    machine.on_assigned([1])
    work = machine.work()
    assert isinstance(work, Claim)
    machine.on_revoked()
    machine.on_assigned([2])
    assert machine.claimed(work.generation, {1: 5}) == []
    assert machine.work() == Release(frozenset({1}))


def test_one_thing_at_a_time() -> None:
    """While something is being done, there is no other work."""
    machine = Assignment[int]()
    machine.on_assigned([1])
    assert isinstance(machine.work(), Claim)
    assert machine.work() is None


def test_a_failed_claim_counts_its_attempts() -> None:
    """A driver needs the number of tries to wait longer each time."""
    machine = Assignment[int]()
    machine.on_assigned([1])
    for attempt in range(3):
        work = machine.work()
        assert isinstance(work, Claim)
        assert attempt == work.attempt
        machine.failed(work.generation)
        assert machine.work() == Release(frozenset({1}))
        machine.released()


def test_a_rewind_is_proved() -> None:
    """After a rewind membership is proved, then claimed."""
    machine = claimed(1)
    machine.on_rewound()
    proof = machine.work()
    assert isinstance(proof, Prove)
    machine.proved(proof.generation)
    assert isinstance(machine.work(), Claim)


def test_a_first_read_needs_no_proof() -> None:
    """Who has just joined and held nothing claims at once."""
    machine = Assignment[int]()
    machine.on_rewound()
    machine.on_assigned([1])
    assert isinstance(machine.work(), Claim)


def test_doubt_reads_on_from_own_positions() -> None:
    """After a doubt nothing is claimed anew: reading goes on behind what was handed out."""
    machine = claimed(1)
    machine.fetched(machine.fetch_begun(), {1: 8})
    machine.on_doubted()
    proof = machine.work()
    assert isinstance(proof, Prove)
    assert machine.proved(proof.generation) == [Seek({1: 8}), Resume(frozenset({1}))]


def test_who_stands_still() -> None:
    """A partition that is read and has not moved; none that moved, went, or is not asked for."""
    machine = claimed(1, 2)
    generation = machine.fetch_begun()
    machine.fetched(generation, {2: 7})
    where = {1: 5, 2: 5, 3: 5}
    assert {1: 5} == machine.standing(where)
    machine.on_paused()
    assert {} == machine.standing(where)
    machine.on_resumed()
    assert {1: 5} == machine.standing(where)
    machine.on_revoked()
    assert {} == machine.standing(where)
