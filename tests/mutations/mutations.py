"""The defects that the suite must not survive: each a change of the source, and the tests that ought to see it."""

from __future__ import annotations

from dataclasses import dataclass

STORE = "plugins/stockifyd_postgres/store.py"
LEDGER = "plugins/stockifyd_postgres/ledger.py"
MEMBER = "plugins/stockifyd_kafka/member.py"
ASSIGNMENT = "plugins/stockifyd_kafka/assignment.py"
LANE = "stockifyd/runtime/lane.py"

UNIT = ("tests/unit/runtime", "tests/plugins/kafka")
POSTGRES = ("tests/integration/postgres",)


@dataclass(frozen=True)
class Change:
    """`old` stands once in the file and becomes `new`."""

    file: str
    old: str
    new: str

    def applied(self, text: str) -> str:
        """The file's text with the change; ValueError where it is not what the change expects."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: this stands {text.count(self.old)} times, not once:\n{self.old}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutation:
    """One defect."""

    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "the swap is removed",
        (
            Change(LEDGER, "\nAND o.next_offset = u.base AND o.owner_epoch = u.epoch", ""),
            Change(STORE, 'if standing != "base":\n                raise', 'if standing == "never":\n                raise'),
        ),
        POSTGRES,
    ),
    Mutation(
        "Kafka is committed first",
        (
            Change(
                LANE,
                "                done = await self._equipment.delivery.deliver(part)\n",
                "                self._shared.delivered(part, 0.0)\n"
                "                done = await self._equipment.delivery.deliver(part)\n",
            ),
        ),
        UNIT,
    ),
    Mutation(
        "no pause on assignment",
        (
            Change(
                MEMBER,
                "            self.perform(self._machine.on_assigned(assigned))",
                "            self._machine.on_assigned(assigned)",
            ),
        ),
        ("tests/plugins/kafka", "tests/integration/kafka/test_start.py"),
    ),
    Mutation(
        "no re-seek after a fetch that raised",
        (
            Change(
                ASSIGNMENT,
                "            self._seek_due = True\n        return self._settle()\n\n    # Inside.",
                "            pass\n        return self._settle()\n\n    # Inside.",
            ),
        ),
        (*UNIT, "tests/integration/kafka/test_corruption.py"),
    ),
    Mutation(
        "COMMIT is retried blindly",
        (
            Change(
                STORE,
                "            return await self._resolved(self._doubt, error)",
                "            raise Retry(error.reason) from error",
            ),
            Change(
                STORE,
                'standing = await self.ledger.stands(transaction, batch.advance) if batch.advance else "base"',
                'standing = "base"',
            ),
            Change(LEDGER, "\nAND o.next_offset = u.base AND o.owner_epoch = u.epoch", "\nAND o.owner_epoch = u.epoch"),
        ),
        POSTGRES,
    ),
    Mutation(
        "dead letters outside the transaction",
        (
            Change(
                STORE,
                "                await letters.store(transaction, self.ledger, batch.rejected, pipeline=self.context.pipeline)\n"
                "                await self.ledger.swap(transaction, batch.advance, ready.last)\n"
                "            self._doubt = Doubt(batch.advance, receipt)\n"
                "            await transaction.commit()\n",
                "                await self.ledger.swap(transaction, batch.advance, ready.last)\n"
                "            self._doubt = Doubt(batch.advance, receipt)\n"
                "            await transaction.commit()\n"
                "        async with self.session.transaction() as transaction:\n"
                "            await letters.store(transaction, self.ledger, batch.rejected, pipeline=self.context.pipeline)\n"
                "            await transaction.commit()\n",
            ),
        ),
        POSTGRES,
    ),
    Mutation(
        "no periodic look at the ledger",
        (Change(LANE, "                group.create_task(self._look())\n", ""),),
        UNIT,
    ),
    Mutation(
        "a batch is split across two transactions",
        (
            Change(
                STORE,
                "                receipt = await self.writer.write(transaction, ready.loads)\n"
                "                await letters.store(transaction, self.ledger, batch.rejected, pipeline=self.context.pipeline)\n"
                "                await self.ledger.swap(transaction, batch.advance, ready.last)\n",
                "                receipt = await self.writer.write(transaction, ready.loads)\n"
                "                await transaction.commit()\n"
                "        async with self.session.transaction() as transaction:\n"
                "            async with evicting(self.session, transaction.pid):\n"
                "                await letters.store(transaction, self.ledger, batch.rejected, pipeline=self.context.pipeline)\n"
                "                await self.ledger.swap(transaction, batch.advance, ready.last)\n",
            ),
        ),
        (*POSTGRES, "tests/faults/test_01_worker_killed.py"),
    ),
)
