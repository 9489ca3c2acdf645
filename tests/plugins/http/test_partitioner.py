"""Who polls which symbol."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from stockifyd_http.partitioner import owner, share

symbols = st.lists(st.text(), unique=True, max_size=50)
totals = st.integers(1, 12)


@given(symbols, totals)
def test_every_symbol_has_one_owner(names: list[str], total: int) -> None:
    """The shares of all instances together are the list, each symbol once."""
    shares = [share(names, instance, total) for instance in range(1, total + 1)]
    assert sorted(names) == sorted(name for part in shares for name in part)


@given(st.text(), totals)
def test_one_instance_more_moves_symbols_to_itself_alone(name: str, total: int) -> None:
    """A symbol stays with its owner, or goes to the new instance; taken away again, it goes back."""
    assert owner(name, total + 1) in (owner(name, total), total + 1)


def test_shares_are_about_equal() -> None:
    """Of 10,000 symbols each of seven instances has about a seventh, and an eighth one takes about an eighth."""
    names = [f"SYMBOL{n}" for n in range(10_000)]
    counts = Counter(owner(name, 7) for name in names)
    assert all(abs(count - 10_000 / 7) < 200 for count in counts.values())
    moved = sum(owner(name, 7) != owner(name, 8) for name in names)
    assert abs(moved - 10_000 / 8) < 200


def test_the_same_for_ever() -> None:
    """Every process of every version finds the same owners: else a symbol is polled twice during an update."""
    names = ("NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX", "MIDCPNIFTY")
    assert [[1, 2, 2, 1, 2], [1, 2, 2, 1, 4]] == [[owner(name, total) for name in names] for total in (2, 4)]
