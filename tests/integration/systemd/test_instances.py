"""Two units of the storage pipeline on real servers: shared partitions, a crash, and what is stored in the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from kit import oracles
from kit.bed import Bed, scene
from kit.eventually import eventually
from kit.fixtures_bed import MakeBed
from kit.postgres import PASSWORD
from kit.units import Units

BOTH = ("stockifyd@storage-1", "stockifyd@storage-2")
PARTITIONS = 12
SETTINGS = "/etc/stockifyd/storage.env"
SETTLED_SECS = 90.0


async def test_two_instances_share_the_partitions(make_bed: MakeBed, units: Units) -> None:
    """`systemctl start stockifyd@storage-{1,2}`: each owns its part; one is killed and comes back; every row is there once.

    Brokers come from /etc/stockifyd/*.env, the password from a credential, which nobody's log has.
    """
    async with scene(make_bed(partitions=PARTITIONS)) as on:
        _install(units, on.bed)
        try:
            await on.feed.send(200)
            await _call(units, "start", *BOTH)
            assert [1, 2] == await _owners(units)
            await on.bed.stored(on.feed)
            await _call(units, "kill", "--signal=KILL", BOTH[1])
            await on.feed.send(200)
            await eventually(lambda: units.show(BOTH[1])["NRestarts"] == "1", within_secs=SETTLED_SECS)
            assert [1, 2] == await _owners(units)
            await on.bed.stored(on.feed)
            await on.judge()
        finally:
            stopped = await asyncio.to_thread(units.systemctl, "stop", *BOTH)
            units.machine.tell("rm", SETTINGS)  # they are of every unit
        assert (0, ["success", "success"]) == (stopped.returncode, [units.show(unit)["Result"] for unit in BOTH])
        said = {unit: units.said(unit) for unit in BOTH}
    assert [] == oracles.told_secrets(said, [PASSWORD])
    assert all(f"Storage instance {number}/2 starting" in text for number, text in enumerate(said.values(), 1))


def _install(units: Units, bed: Bed) -> None:
    """The bed's spec, tables and servers, as an operator writes them down."""
    bed.sink = {"database": bed.database.url.replace(PASSWORD, "${credential:database_password}")}
    units.write_spec("storage", bed.write_spec().read_text())
    units.machine.write("/etc/stockifyd/credentials/database_password", PASSWORD, mode=0o600)
    told = f"KAFKA_BOOTSTRAP_SERVERS={bed.kafka.bootstrap}\nTOTAL_INSTANCES=2\n"
    units.machine.write(SETTINGS, told, mode=0o600)


async def _call(units: Units, *arguments: str) -> None:
    done = await asyncio.to_thread(units.systemctl, *arguments)
    assert 0 == done.returncode, "\n".join(map(units.said, BOTH))


async def _owners(units: Units) -> list[int]:
    """The instances, once each owns half of the partitions."""

    def halves() -> list[int]:
        asked = units.stockifyd("status", "--json", "storage")
        statuses: list[dict[str, Any]] = json.loads(asked.stdout) if asked.returncode == 0 else []
        halves = [one for one in statuses if (one["state"], len(one["partitions"])) == ("running", PARTITIONS // 2)]
        return sorted(one["instance_id"] for one in halves) if len(halves) == len(BOTH) else []

    return await eventually(halves, within_secs=SETTLED_SECS, every_secs=0.5)
