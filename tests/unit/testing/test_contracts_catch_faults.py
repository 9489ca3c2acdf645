"""Each fact of a contract can fail: components with one fault each, and the facts that find it."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Claims, Config, Fenced, Message, Partition, Receipt, Row, Sink, Tables, Transform, Unavailable
from stockifyd.testing import (
    COLUMNS,
    LedgerContract,
    MemoryClaims,
    MemoryLedger,
    MemorySink,
    MemorySource,
    MemoryStore,
    MemoryTopic,
    SinkContract,
    SourceContract,
    TransformContract,
    make_message,
)
from stockifyd.testing.memory import Commit


def failures(contract: Any, tmp_path: Path) -> set[str]:
    """The facts that fail, each on a fresh far side."""
    failed = set[str]()
    for name in [name for name in dir(contract) if name.startswith("test_")]:
        test = getattr(contract, name)
        contract.fresh()
        try:
            test(**({"tmp_path": tmp_path} if "tmp_path" in inspect.signature(test).parameters else {}))
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever it is, the fact failed
            failed.add(name.removeprefix("test_"))
    return failed


class Hooks:
    store: MemoryStore

    def fresh(self) -> None:
        self.store = MemoryStore()

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"store": self.store.name}

    def stored(self, sink: Any) -> list[Row]:
        return self.store.rows.get("options", [])

    def dead_letters(self, sink: Any) -> list[tuple[int, str]]:
        return [(letter.message.position.offset, letter.reason) for letter in self.store.dead_letters]

    def break_it(self, component: Any) -> None:
        self.store.unreachable = Unavailable("away")

    def mend_it(self, component: Any) -> None:
        self.store.unreachable = None

    def bad_row(self) -> Row:
        self.store.reject_row = lambda row: row[0] == -1
        return -1, "bad"


class Forgets(MemorySink):
    """Loses the last row."""

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables["options"]
        short = replace(table, rows=table.rows[:-1], ends=[min(end, max(len(table.rows) - 1, 0)) for end in table.ends])
        return await super().write(batch.with_table("options", short))


class Miscounts(MemorySink):
    """Answers with one row too many."""

    async def write(self, batch: Batch) -> Receipt:
        return replace(await super().write(batch), rows=batch.row_count + 1)


class Swears(MemorySink):
    """Promises that it is idempotent, and is not."""

    idempotent = True


class Reverses(MemorySink):
    """Writes rows backwards, in the batch that others write too."""

    async def write(self, batch: Batch) -> Receipt:
        batch.tables["options"].rows.reverse()
        return await super().write(batch)


class OpensEarly(MemorySink):
    """Reads a file in its constructor."""

    def __init__(self, config: Any, context: Any) -> None:
        super().__init__(config, context)
        Path(__file__).read_text()


class ClosesBadly(MemorySink):
    """Cannot be closed unless it was opened."""

    async def open(self) -> None:
        await super().open()
        self.was_open = True

    async def close(self) -> None:
        del self.was_open


class RaisesAnything(MemorySink):
    """Lets errors of its driver out."""

    async def open(self) -> None:
        if self.store.unreachable:
            raise OSError("no such host")

    async def write(self, batch: Batch) -> Receipt:
        try:
            return await super().write(batch)
        except Unavailable as error:
            raise OSError("reset by peer") from error


class KeepsHalf(MemorySink):
    """Stores what came before the bad row, and says Reject."""

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables["options"]
        bad = [n for n, row in enumerate(table.rows) if row[0] == -1]
        if bad:
            self.store.commit(Commit(batch.keep(range(table.message_of(bad[0])))))
        return await super().write(batch)


class NoSwap(MemoryLedger):
    """Compares nothing."""

    def _compare(self, partition: Partition, span: Any) -> None:
        pass


class NoEpoch(MemoryLedger):
    """Compares the base, not the owner."""

    def _compare(self, partition: Partition, span: Any) -> None:
        if self.store.next[partition] != span.base:
            raise Fenced("not at base")


class RowsFirst(MemoryLedger):
    """Rows in a transaction of their own."""

    async def write(self, batch: Batch) -> Receipt:
        self.store.commit(Commit(replace(batch, advance={}, rejected=())))
        return await super().write(replace(batch, tables={}))


class LettersFirst(MemoryLedger):
    """Dead letters in a transaction of their own."""

    async def write(self, batch: Batch) -> Receipt:
        self.store.commit(Commit(Batch((), rejected=batch.rejected)))
        return await super().write(replace(batch, rejected=()))


class DropsLetters(MemoryLedger):
    """Stores no dead letters."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(replace(batch, rejected=()))


class StartsAnew(MemoryLedger):
    """Takes the start for the truth."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        self.store.next.update(starts)
        return await super().claim(starts)


class LooksAndOwns(MemoryLedger):
    """Fences whoever it looks at."""

    async def stored(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self.store.epochs.update({p: self.store.epochs.get(p, 0) + 1 for p in partitions})
        return await super().stored(partitions)


class SkipsEmpty(MemoryLedger):
    """Thinks that without messages there is nothing to do."""

    async def write(self, batch: Batch) -> Receipt:
        return await super().write(batch) if batch.messages else Receipt()


class OneForAll(MemoryLedger):
    """One ledger for every consumer."""

    @property
    def store(self) -> MemoryStore:
        return MemoryStore.named(self.config.store)


class ForgetsTheCluster(MemoryLedger):
    """Files by topic and number alone."""

    async def claim(self, starts: Mapping[Partition, int]) -> Mapping[Partition, int]:
        found = await super().claim({p._replace(cluster=""): start for p, start in starts.items()})
        return {p: found[p._replace(cluster="")] for p in starts}


class SkipsAnything(MemoryLedger):
    """Moves over a gap without looking where it stands."""

    async def skip(self, partition: Partition, span: Any, reason: str) -> None:
        self.store.commit(Commit(Batch((), advance={partition: span})))


class KnowsEverything(MemoryLedger):
    """Recognises any message."""

    async def recognise(self, messages: Sequence[Message]) -> None:
        pass


SINKS: list[tuple[type[Any], set[str]]] = [
    (MemorySink, set()),
    (Forgets, {"the_whole_batch_is_accounted_for", "what_is_written_stays", "order_is_kept"}),
    (Miscounts, {"the_receipt_counts_rows", "an_empty_batch"}),
    (Swears, {"writing_twice"}),
    (Reverses, {"order_is_kept", "the_batch_is_left_as_it_was"}),
    (OpensEarly, {"the_constructor_touches_nothing"}),
    (ClosesBadly, {"close_without_open", "close_twice", "open_of_a_broken_far_side"}),
    (RaisesAnything, {"open_of_a_broken_far_side", "a_far_side_that_breaks_while_open"}),
    (KeepsHalf, {"a_bad_row"}),
]
LEDGERS: list[tuple[type[Any], set[str]]] = [
    (MemoryLedger, set()),
    (NoSwap, {"a_wrong_base_is_fenced", "a_batch_is_written_once", "a_second_owner_fences_the_first", "writing_twice"}),
    (NoEpoch, {"a_second_owner_fences_the_first", "what_was_never_claimed_is_fenced"}),
    (RowsFirst, {"a_wrong_base_is_fenced", "one_fenced_partition_fences_the_batch"}),
    (LettersFirst, {"a_wrong_base_is_fenced", "a_batch_is_written_once"}),
    (DropsLetters, {"dead_letters_are_stored_with_the_rows", "dead_letters_alone"}),
    (StartsAnew, {"a_later_claim_answers_what_is_stored"}),
    (LooksAndOwns, {"looking_owns_nothing"}),
    (SkipsEmpty, {"an_advance_without_messages", "dead_letters_alone"}),
    (OneForAll, {"each_consumer_has_its_own_offsets"}),
    (ForgetsTheCluster, {"each_cluster_has_its_own_offsets"}),
    (SkipsAnything, {"a_gap_from_a_wrong_base"}),
    (KnowsEverything, {"a_topic_made_anew"}),
]


@pytest.mark.parametrize(("faulty", "caught"), SINKS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_sink_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound sink none does."""

    class Contract(Hooks, SinkContract[Any]):
        sink = faulty

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


@pytest.mark.parametrize(("faulty", "caught"), LEDGERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_ledger_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound ledger none does."""

    class Contract(Hooks, LedgerContract[Any]):
        sink = faulty

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


def test_a_ledger_takes_the_ledger_contract() -> None:
    """A ledger sink under the plain contract would be tested for half of what it promises: refused, with the cure."""
    with pytest.raises(TypeError, match=r"HINT: take LedgerContract\[MemoryLedger\]"):
        type("Wrong", (SinkContract,), {"sink": MemoryLedger})


class OpenOptions(Config, frozen=True):
    password: str


class OpenPassword(Sink[OpenOptions]):
    """A password in the open."""

    type = "open_password"

    async def write(self, batch: Batch) -> None: ...


def test_a_password_in_the_open_is_caught(tmp_path: Path) -> None:
    """An option called password that is no Secret fails the contract."""

    class Contract(SinkContract[OpenPassword]):
        sink = OpenPassword

    with pytest.raises(AssertionError):
        Contract().test_what_is_secret_by_name_is_secret_by_type()


class NoOptions(Config, frozen=True):
    pass


class Rows(Transform[NoOptions]):
    """Sound."""

    type = "rows"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(m.position.offset, m.raw)])


class Counts(Rows):
    """Numbers rows by what it saw before."""

    seen = 0

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        rows = [(n + self.seen, row[1]) for n, row in enumerate(made.tables["options"].rows)]
        Counts.seen += len(rows)
        return made.with_table("options", replace(made.tables["options"], rows=rows))


class Drops(Rows):
    """Loses a message without a word."""

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch).keep(range(max(len(batch.messages) - 1, 0)))


class Misaligned(Rows):
    """Takes messages, and leaves their rows."""

    def apply(self, batch: Batch) -> Batch:
        made = super().apply(batch)
        return replace(made, tables={"options": replace(made.tables["options"], ends=[])})


class Lies(Rows):
    """Foretells other columns."""

    def tables(self, before: Tables) -> Tables:
        return {"options": ("a",)}


class Raises(Rows):
    """Cannot read what is not text."""

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, lambda m: [(m.position.offset, m.raw.decode())])


class Moves(Rows):
    """Forgets how far the batch goes."""

    def apply(self, batch: Batch) -> Batch:
        return replace(super().apply(batch), advance={}, rejected=())


class Silent(Rows):
    """Makes no table of nothing."""

    def apply(self, batch: Batch) -> Batch:
        return super().apply(batch) if batch.messages else batch


TRANSFORMS: list[tuple[type[Any], set[str]]] = [
    (Rows, set()),
    (Counts, {"the_same_again", "how_messages_are_batched_does_not_matter"}),
    (Drops, {"every_message_is_accounted_for"}),
    (Misaligned, {"tables_are_well_formed"}),
    (Lies, {"tables_are_foretold"}),
    (Raises, {"garbage_is_rejected_alone"}),
    (Moves, {"rejected_before_and_advance_stay"}),
    (Silent, {"an_empty_batch"}),
]


@pytest.mark.parametrize(("faulty", "caught"), TRANSFORMS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_transform_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound transform none does."""

    class Contract(TransformContract[Any]):
        transform = faulty

        def fresh(self) -> None:
            Counts.seen = 0

        def options(self, tmp_path: Path) -> dict[str, Any]:
            return {}

        def batch(self) -> Batch:
            messages = tuple(make_message(offset) for offset in range(3))
            return Batch(messages, advance={messages[0].position.partition: (0, 3)})  # type: ignore[dict-item]

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


class StartsOver(MemorySource):
    """Asks, and does not listen."""

    async def _begin(self, claims: Claims, partition: Partition, offset: int) -> int:
        return 0


class NeverAsks(MemorySource):
    """Reads without a claim."""

    async def _rebalance(self, claims: Claims, topic: MemoryTopic) -> None:
        self.at = self.at or dict.fromkeys(topic.partitions, 0)


class NeverPauses(MemorySource):
    """Fetches on."""

    def pause(self) -> None:
        pass


class IsBehind(MemorySource):
    """Says that it stands where it began."""

    def positions(self) -> Mapping[Partition, int]:
        return dict.fromkeys(self.at, 0)


class Shuffles(MemorySource):
    """Yields backwards."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return super()._next(topic)[::-1]


class LosesTheFirst(MemorySource):
    """Loses what it reads first."""

    def _next(self, topic: MemoryTopic) -> list[Message]:
        return super()._next(topic)[1:]


SOURCES: list[tuple[type[Any], set[str]]] = [
    (MemorySource, set()),
    (StartsOver, {"resumes_at_the_claimed_offset"}),
    (NeverAsks, {"claims_before_it_reads", "everything_in_order"}),
    (NeverPauses, {"yields_while_paused"}),
    (IsBehind, {"everything_in_order"}),
    (Shuffles, {"everything_in_order"}),
    (LosesTheFirst, {"everything_in_order"}),
]


@pytest.mark.parametrize(("faulty", "caught"), SOURCES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_source_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound source none does."""

    class Contract(SourceContract[Any]):
        source = faulty

        def fresh(self) -> None:
            self.topic = MemoryTopic()

        def options(self, tmp_path: Path) -> dict[str, Any]:
            return {"topic": self.topic.name, "idle_ms": 1}

        def feed(self, tmp_path: Path, bodies: Sequence[bytes]) -> None:
            self.topic.add(*bodies)

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


async def test_claims_answer_what_is_stored() -> None:
    """The stand-in for claims knows the order: stored, then committed, then the start."""
    a, b, c = (Partition("t", n) for n in range(3))
    claims = MemoryClaims({a: 7})
    assert {a: 7, b: 5, c: 1} == await claims.take({a: 1, b: 1, c: 1}, {a: 3, b: 5})
