"""Analytics beside storage, on one topic and one database, its replicas in between; and the build-ups that must come of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import WRITER
from kit.market import write_spec
from kit.pgbouncer import PgBouncer
from kit.postgres import PASSWORD
from stockifyd_optionchain import Chain
from stockifyd_optionchain.simulator import Produced

AGO_SECS, WITHIN_SECS = 6, 30
"""Simulated chains of a series are 3 seconds apart."""
RECENT = "recent_buildups"
KINDS = {(1, 1): "long_buildup", (-1, 1): "short_buildup", (-1, -1): "long_unwinding", (1, -1): "short_covering"}
Row = tuple[datetime, int, date, float, str, float | None, int | None, str | None, datetime | None]


def beside(storage: Bed, make_bed: MakeBed, replicas: Sequence[PgBouncer], **options: Any) -> Bed:
    """A bed for the analytics pipeline, which looks up on replicas what a bed of storage stores."""
    folder = storage.folder / "analytics"
    folder.mkdir()
    environment = {
        "DATABASE_REPLICA_HOSTS": ",".join(f"127.0.0.1:{pooler.port}" for pooler in replicas),
        "DATABASE_NAME": storage.database.name,
        "DATABASE_USER": WRITER,
        "DATABASE_PASSWORD": PASSWORD,
        "BUILDUP_AGO_SECS": str(AGO_SECS),
        "BUILDUP_WITHIN_SECS": str(WITHIN_SECS),
    }
    shared = {"database": storage.database, "topic": storage.topic, "folder": folder, "name": "analytics"}
    return make_bed(**shared, environment=environment, **options)


def write_analytics(storage: Bed, analytics: Bed, **source: Any) -> dict[str, Any]:
    """The analytics pipeline as it ships, on its bed's topic, waiting for its storage; answers with the spec."""
    written: dict[str, Any] = {}

    def placed(spec: dict[str, Any]) -> None:
        spec["source"] |= {"topics": [analytics.topic], "group": analytics.group, **source}
        [lookup] = [one for one in spec["transforms"] if one["type"] == "lookup"]
        lookup["after"]["consumer"] = storage.group
        spec["sinks"][0]["topic"] = f"{analytics.topic}.analytics"
        written.update(spec)

    write_spec("analytics", analytics.spec, placed)
    return written


def recent_buildups(sent: Iterable[Produced]) -> set[Row]:
    """The recent build-ups by their definition, from the chains themselves."""
    found: set[Row] = set()
    series = defaultdict[bytes, list[Chain]](list)
    for one in sent:
        chain = msgspec.json.decode(one.value, type=Chain)
        newest = chain.timestamp - timedelta(seconds=AGO_SECS)
        earlier = [c for c in series[one.key] if timedelta(0) <= newest - c.timestamp < timedelta(seconds=WITHIN_SECS)]
        past = {(o.strike, o.option_type): (o, earlier[-1].timestamp) for o in earlier[-1].options} if earlier else {}
        for option in chain.options:
            before, since = past.get((option.strike, option.option_type), (None, None))
            price = oi = kind = None
            if before is not None:
                price = None if None in (option.ltp, before.ltp) else round(option.ltp - before.ltp, 6)  # type: ignore[operator]
                oi = None if None in (option.oi, before.oi) else option.oi - before.oi  # type: ignore[operator]
                kind = KINDS.get((_sign(price), _sign(oi)))
            key = (chain.timestamp, chain.symbol_id, option.expiry, option.strike, option.option_type)
            found.add((*key, price, oi, kind, since))
        series[one.key].append(chain)
    return found


def _sign(change: float | None) -> int:
    return 0 if change is None else (change > 0) - (change < 0)
