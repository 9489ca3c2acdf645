"""Each fact of the contract of sinks can fail: sinks with one fault each, and the facts that find it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stockifyd.api import Batch, Config, Receipt, Sink, Unavailable
from stockifyd.testing import MemorySink, SinkContract
from stockifyd.testing.memory import Commit
from unit.testing.catching import Hooks, failures


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


@pytest.mark.parametrize(("faulty", "caught"), SINKS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_sink_is_caught(faulty: type[Any], caught: set[str], tmp_path: Path) -> None:
    """The facts that must fail do; of a sound sink none does."""

    class Contract(Hooks, SinkContract[Any]):
        sink = faulty

    failed = failures(Contract(), tmp_path)
    assert caught <= failed if caught else failed == set()


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
