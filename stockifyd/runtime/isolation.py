"""Taking messages out of a batch, and cutting a batch in two, so that what is left is still consecutive."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from stockifyd.api import Batch, DeadLetter, Drift, LedgerSink, Message, Partition, Receipt, Reject, Sink, Span


def take_out(batch: Batch, letters: Mapping[int, DeadLetter]) -> Batch:
    """The batch without these messages, which join its dead letters."""
    if not letters:
        return batch
    kept = [i for i in range(len(batch.messages)) if i not in letters]
    added = (letters[i] for i in sorted(letters))
    return replace(batch.keep(kept), rejected=(*batch.rejected, *added))


def take_out_named(batch: Batch, why: Reject, stage: str) -> Batch | None:
    """The batch without the message that a Reject names; None where it names none and there are several."""
    table = batch.tables.get(why.table)
    row: int | None = None
    if table is not None and why.row is not None and 0 <= why.row < len(table.rows):
        index = table.message_of(why.row)
        row = why.row - table.start_of(index)
    elif len(batch.messages) == 1:
        index = 0
    elif batch.messages:
        return None
    else:
        raise Drift(f"{stage} rejects a batch without messages: {why.reason}", hint=why.hint)
    return take_out(batch, {index: DeadLetter(batch.messages[index], why.reason, stage, why.code, row)})


def believable(receipt: Any, batch: Batch, sink: Sink[Any]) -> Receipt | None:
    """What a sink answered. Drift where that cannot be: who names wrong messages may have stored none."""
    if receipt is None:
        return None
    if not isinstance(receipt, Receipt):
        found = f"{type(receipt).__name__}, which is no Receipt"
    elif receipt.rejected and isinstance(sink, LedgerSink):
        found = "with rejected messages, which a ledger sink raises, so that their dead letters are stored with the rows"
    elif wrong := [i for i in receipt.rejected if not isinstance(i, int) or not 0 <= i < len(batch.messages)]:
        found = f"that it rejects message {wrong[0]!r} of a batch of {len(batch.messages)}"
    else:
        return receipt
    raise Drift(f"sink '{sink.context.name}' answered {found}", hint="this is a bug in the component; the offset did not move")


def halve(batch: Batch) -> tuple[Batch, Batch]:
    """Two batches, each consecutive in every partition, whose spans meet."""
    middle = len(batch.messages) // 2
    cuts = _cuts(batch, middle)
    first, second = dict[Partition, Span](), dict[Partition, Span]()
    for partition, span in batch.advance.items():
        cut = cuts.get(partition, span.next)
        if cut > span.base:
            first[partition] = Span(span.base, cut)
        if span.next > cut:
            second[partition] = Span(cut, span.next)
    below = tuple(letter for letter in batch.rejected if _is_below(letter.message, cuts, unknown=True))
    above = tuple(letter for letter in batch.rejected if not _is_below(letter.message, cuts, unknown=True))
    return (
        replace(batch.keep(range(middle)), rejected=below, advance=first),
        replace(batch.keep(range(middle, len(batch.messages))), rejected=above, advance=second),
    )


def parts(batch: Batch, max_rows: int) -> Iterator[Batch]:
    """The batch, halved until no part of several messages has more rows than allowed."""
    if batch.row_count <= max_rows or len(batch.messages) < 2:  # noqa: PLR2004
        yield batch
        return
    for half in halve(batch):
        yield from parts(half, max_rows)


def lacking(batch: Batch, stored: Mapping[Partition, int]) -> Batch:
    """What a ledger that is at `stored` lacks of a batch: a second ledger may be ahead of the first."""
    if all(stored.get(p, span.base) <= span.base for p, span in batch.advance.items()):
        return batch
    kept = [i for i, m in enumerate(batch.messages) if not _is_below(m, stored, unknown=False)]
    return replace(
        batch.keep(kept),
        rejected=tuple(letter for letter in batch.rejected if not _is_below(letter.message, stored, unknown=False)),
        advance={
            p: Span(max(span.base, stored.get(p, 0)), span.next)
            for p, span in batch.advance.items()
            if span.next > stored.get(p, 0)
        },
    )


def marked(batch: Batch, before: int, stage: str) -> Batch:
    """The batch whose dead letters from index `before` on name the stage that refused them."""
    if len(batch.rejected) == before:
        return batch
    named = (letter._replace(stage=letter.stage or stage) for letter in batch.rejected[before:])
    return replace(batch, rejected=(*batch.rejected[:before], *named))


def index_of(batch: Batch, letters: Collection[DeadLetter]) -> dict[int, DeadLetter]:
    """Dead letters by the index that their messages have in a batch that still holds them."""
    if not letters:
        return {}
    by_position = {letter.message.position: letter for letter in letters}
    return {i: by_position[m.position] for i, m in enumerate(batch.messages) if m.position in by_position}


def _cuts(batch: Batch, middle: int) -> dict[Partition, int]:
    """For each partition, the offset of its first message in the second half."""
    cuts: dict[Partition, int] = {}
    for message in batch.messages[middle:]:
        cuts.setdefault(message.position.partition, message.position.offset)
    return cuts


def _is_below(message: Message, limits: Mapping[Partition, int], *, unknown: bool) -> bool:
    """Whether a message is before its partition's limit; `unknown` where the partition has none."""
    partition, offset = message.position
    limit = limits.get(partition)
    return unknown if limit is None else offset < limit
