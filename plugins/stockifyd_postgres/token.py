"""How far another pipeline's rows are in the snapshot that is read: its offsets, which were stored with them."""

from __future__ import annotations

from collections.abc import Mapping

from stockifyd.api import Drift, Partition, Retry
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.lookup_options import After

MAY_READ = """SELECT coalesce(has_table_privilege(to_regclass('stockifyd.offsets')::oid, 'SELECT'), false)
AND has_schema_privilege('stockifyd', 'USAGE')"""
STORED = """SELECT o.cluster, o.topic, o.partition, o.next_offset FROM stockifyd.offsets AS o
JOIN unnest($3::text[], $4::text[], $5::int[]) AS w(cluster, topic, partition)
ON (o.cluster, o.topic, o.partition) = (w.cluster, w.topic, w.partition) WHERE o.consumer = $1 AND o.sink = $2"""


async def readable(transaction: Transaction) -> None:
    """Drift where the ledger cannot be read."""
    if not await transaction.value(MAY_READ):
        raise Drift(
            "after: there is no table stockifyd.offsets, or no right to read it", hint="`stockifyd migrate SPEC --reader ROLE`"
        )


async def reached(transaction: Transaction, after: After, needed: Mapping[Partition, int]) -> None:
    """Retry unless all rows of messages below these offsets are in this snapshot.

    The offsets are stored in the transaction of the rows, so a snapshot has both or neither. That holds on every replica, and
    after a failover, where a position in the server's log says nothing.
    """
    wanted = list(needed)
    arrays = ([p.cluster for p in wanted], [p.topic for p in wanted], [p.number for p in wanted])
    rows = await transaction.fetch(STORED, after.consumer, after.sink, *arrays)
    stored = {Partition(row["topic"], row["partition"], row["cluster"]): row["next_offset"] for row in rows}
    behind = [partition for partition in wanted if stored.get(partition, -1) < needed[partition]]
    if behind:
        first = behind[0]
        known = stored.get(first, "nothing")
        where = f"{first.topic}/{first.number} up to {needed[first]}"
        raise Retry(
            f"{after.consumer}/{after.sink} has not stored {where} here yet, but {known}",
            hint="does that pipeline run? See `after`; a replica may also be behind",
        )
