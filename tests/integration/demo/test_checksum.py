"""PostgreSQL computes the same checksum of the stored rows as the demo of those it sent."""

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.fixtures_postgres import Database
from stockifyd_demo.checksum import FLOATS, INTEGERS, checksum, sql

COLUMNS = ("strike_price", "option_type", *FLOATS, *INTEGERS)
KEYS = ("strike", *COLUMNS[1:])
TABLE = f"""CREATE TEMP TABLE rows (strike_price float8, option_type text, {", ".join(f"{c} float8" for c in FLOATS)},
{", ".join(f"{c} bigint" for c in INTEGERS)})"""
ROWS = st.lists(
    st.fixed_dictionaries({
        "strike": st.floats(1, 1e6),
        "option_type": st.sampled_from(["CE", "PE"]),
        **dict.fromkeys(FLOATS, st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        **dict.fromkeys(INTEGERS, st.none() | st.integers(-(2**63), 2**63 - 1)),
    }),
    min_size=1,
    max_size=8,
    unique_by=lambda row: (row["strike"], row["option_type"]),
)  # fmt: skip


async def test_same_sum(database: Database) -> None:
    """Whatever the values: the same 32 bytes."""
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute(TABLE)
    found: list[tuple[bytes, bytes]] = []
    examples: list[list[dict]] = []

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
    @given(ROWS)
    def collect(rows: list[dict]) -> None:
        examples.append(rows)

    collect()
    for rows in examples:
        await connection.execute("TRUNCATE rows")
        await connection.copy_records_to_table("rows", records=[tuple(row[k] for k in KEYS) for row in rows], columns=COLUMNS)
        found.append((checksum(rows), await connection.fetchval(f"SELECT {sql()} FROM rows")))
    await connection.close()
    assert [ours for ours, _ in found] == [theirs for _, theirs in found]
