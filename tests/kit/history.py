"""A primary with option rows of two days, its streaming replica, and a pooler before that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kit.fixtures_postgres import WRITER, Database
from kit.pgbouncer import PgBouncer
from kit.postgres import PASSWORD
from kit.postgres_replica import PostgresReplica

CHAINS, STRIKES = 400, 100
DAYS = ("2026-11-23", "2026-11-24")
SPEC = Path(__file__).parents[2] / "pipelines" / "historical.yaml"
FILL = f"""INSERT INTO option_contracts ("timestamp", symbol_id, expiry, strike_price, option_type, ltp, oi, iv)
SELECT day + interval '3 h 45 min' + chain * interval '3 s', symbol, date '2026-12-01', 20000.0 + 0.05 * strike, kind,
  CASE WHEN strike % 7 > 0 THEN strike * 0.05 + chain END, 75 * strike, 1.0 / (1 + strike + chain)
FROM unnest(ARRAY{list(DAYS)}::timestamptz[]) day, generate_series(1, {CHAINS}) chain, unnest(ARRAY[13, 25]) symbol,
  generate_series(1, {STRIKES // 2}) strike, unnest(ARRAY['CE', 'PE']) kind"""
ROWS = CHAINS * STRIKES * 2 * len(DAYS)


@dataclass(frozen=True)
class History:
    """Where the rows are, and how they are reached."""

    primary: Database
    replica: PostgresReplica
    pooler: PgBouncer

    def settings(self, folder: Path, **more: str) -> dict[str, str]:
        """The environment of a pipeline that reads the replica through its pooler."""
        where = {"DATABASE_REPLICA_HOSTS": f"127.0.0.1:{self.pooler.port}", "DATABASE_NAME": self.primary.name}
        who = {"DATABASE_USER": WRITER, "DATABASE_PASSWORD": PASSWORD}
        when = {"HISTORICAL_FROM": f"{DAYS[0]}T00:00:00Z", "HISTORICAL_TO": f"{DAYS[1]}T23:00:00Z"}
        return {**where, **who, **when, "HISTORICAL_FOLDER": str(folder), **more}
