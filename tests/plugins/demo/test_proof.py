"""What counts as lost or doubled."""

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from stockifyd_demo.feed import Sent
from stockifyd_demo.proof import Move, of_chains, of_moves

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
SUM = b"\1" * 32


def sent(partition: int = 0, offset: int = 0, *, symbol_id: int = 13) -> Sent:
    return Sent(partition, offset, "NIFTY", (symbol_id, date(2026, 11, 24), AT), 500, SUM, 170_000)


def stored(one: Sent, rows: int = 500, checksum: bytes = SUM) -> dict:
    return {one.identity: (rows, checksum)}


class TestChains:
    """`of_chains`: the table against what was sent."""

    def test_equal(self) -> None:
        """The same rows: no difference."""
        assert [] == list(of_chains([sent()], stored(sent())))

    def test_lost(self) -> None:
        """A message without rows is named by its place and its chain."""
        expected = "partition 3 offset 7 (NIFTY, expiry 2026-11-24, 2026-11-20 10:00:00): 0 of 500 rows are stored"
        assert [expected] == list(of_chains([sent(3, 7)], {}))

    def test_in_part(self) -> None:
        """Half a chain is a difference."""
        assert ["499 of 500 rows are stored"] == [d.split(": ")[1] for d in of_chains([sent()], stored(sent(), 499))]

    def test_changed(self) -> None:
        """All rows, but one value is another."""
        found = of_chains([sent()], stored(sent(), checksum=b"\2" * 32))
        assert ["its rows are not those that were sent"] == [d.split(": ")[1] for d in found]

    def test_foreign(self) -> None:
        """Rows that nobody sent are a difference."""
        found = list(of_chains([sent()], stored(sent()) | stored(sent(symbol_id=25), 2)))
        assert ["2 rows of a chain that nobody sent"] == [d.split(":")[0] for d in found]


class TestMoves:
    """`of_moves`: the ledger against itself and the topic's end."""

    @given(st.lists(st.integers(1, 50), min_size=1), st.integers(0, 59))
    def test_contiguous(self, steps: list[int], partition: int) -> None:
        """Commits that follow each other to the end of the topic: no difference, however they are cut."""
        ends = [sum(steps[: n + 1]) for n in range(len(steps))]
        moves = [Move(partition, end - step, end) for step, end in zip(steps, ends, strict=True)]
        assert [] == list(of_moves([sent(partition, n) for n in range(ends[-1])], moves))

    def test_doubled(self) -> None:
        """A commit that begins before the last one's end would have stored messages twice."""
        found = list(of_moves([sent(0, 0), sent(0, 1)], [Move(0, 0, 1), Move(0, 0, 2)]))
        assert ["partition 0: a commit went from 0 to 2; the last had ended at 1"] == found

    def test_skipped(self) -> None:
        """A commit that begins after the last one's end has left messages out."""
        found = list(of_moves([sent(0, n) for n in range(4)], [Move(0, 0, 1), Move(0, 3, 4)]))
        assert ["partition 0: a commit went from 3 to 4; the last had ended at 1"] == found

    def test_short(self) -> None:
        """A ledger that has not reached the topic's end."""
        assert ["partition 5: the ledger is at 0, and the topic ends at 3"] == list(of_moves([sent(5, 2)], []))

    def test_beyond(self) -> None:
        """A ledger beyond what was sent."""
        assert ["partition 5: the ledger is at 1, and the topic ends at 0"] == list(of_moves([], [Move(5, 0, 1)]))
