"""`stockifyd dlq`: dead letters listed, shown and tried again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from kit.postgres_sink import COLUMNS, TOPIC, components, make_sink, message, option_rows
from stockifyd.api import Batch, Config, Context, DeadLetter, Drift, Reject, Row, Span, Transform
from stockifyd_postgres.commands import dlq_command

Dlq = Callable[..., Any]


class NoOptions(Config, frozen=True):
    """None."""


class Rows(Transform[NoOptions]):
    """Two rows of each message; refuses those whose payload says so."""

    type = "rows"

    def apply(self, batch: Batch) -> Batch:
        return batch.flatten("options", COLUMNS, self._rows)

    def _rows(self, m: Any) -> list[Row]:
        if m.raw == b"bad":
            raise Reject("still bad")
        if m.raw == b"poison":
            return [(*row[:4], "XX", *row[5:]) for row in option_rows(m.position.offset, 2)]
        assert (m.key, m.headers, m.timestamp_ms) == (b"k\x00", (("h", b"v"), ("b", b"\xff\x00")), 1_790_000_000_123)
        return option_rows(m.position.offset, 2)


@pytest.fixture
async def letters(opened: Any) -> None:
    """Four dead letters: two that would pass now, a bad one, and one that the table refuses."""

    sink = await opened()
    await sink.claim({TOPIC: 0})
    raws = [b"good", b"bad", b"poison", b"\xff\x00good"]
    headers = (("h", b"v"), ("b", b"\xff\x00"))
    kept = [
        msgspec.structs.replace(message(n, raw=raw), key=b"k\x00", headers=headers, timestamp_ms=1_790_000_000_123)
        for n, raw in enumerate(raws)
    ]
    await sink.write(Batch((), rejected=tuple(DeadLetter(m, "refused", "decode") for m in kept), advance={TOPIC: Span(0, 4)}))


@pytest.fixture
def dlq(market: Any, letters: None, tmp_path: Path) -> Dlq:
    """Runs a dlq command on the pipeline with the transform `Rows`; answers with exit code and output."""
    (tmp_path / "storage.yaml").write_text("version: 1\n")

    def run(command: str, *arguments: str) -> tuple[int, str]:
        sink = make_sink(market)
        transform = Rows(NoOptions(), Context("storage", "rows", logging.getLogger("test")))
        group = dlq_command(lambda _: components(sink, transform))
        result = CliRunner().invoke(group, [command, str(tmp_path / "storage.yaml"), *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return run


def test_ls_lists_them(dlq: Dlq) -> None:
    """Name, class and reason of each, and their number."""
    code, output = dlq("ls")
    lines = output.splitlines()
    assert (code, len(lines), lines[-1]) == (0, 5, "4 dead letters")
    assert lines[0].endswith("market.enriched/0/0  REJECT refused")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--topic", "other"], 0),
        (["--partition", "0"], 4),
        (["--limit", "3"], 3),
        (["--reason", "fus"], 4),
        (["--reason", "x"], 0),
    ],
)
def test_ls_filters(dlq: Dlq, filters: list[str], count: int) -> None:
    """Each filter leaves what it should."""
    assert len(json.loads(dlq("ls", "--json", *filters)[1])) == count


def test_show_has_the_payload(dlq: Dlq) -> None:
    """Text as text, other bytes as base64; a letter that is not there is said."""
    assert dlq("show", "market.enriched/0/0")[1].endswith("payload:\ngood\n")
    assert json.loads(dlq("show", "market.enriched/0/3", "--json")[1])["payload"] == "base64:/wBnb29k"
    with pytest.raises(Drift, match="no dead letter"):
        dlq("show", "market.enriched/0/77")
    with pytest.raises(Drift, match="names no dead letter"):
        dlq("show", "nonsense")


def test_retry_stores_what_passes_and_keeps_the_rest(dlq: Dlq, market: Any) -> None:
    """Rows written and letter deleted together; what fails stays with its new reason; no offset moves."""
    code, output = dlq("retry", "--all")
    assert (code, output.splitlines()[-1]) == (1, "4 tried: 2 stored (4 rows), 2 refused again")
    found = market.sql('SELECT "offset", attempts, error_class, sqlstate, stage FROM stockifyd.dead_letters ORDER BY 1')
    assert found.splitlines() == ["1|1|REJECT||", "2|1|POISON|23514|postgres"]
    assert market.sql("SELECT count(*) FROM option_contracts; SELECT next_offset FROM stockifyd.offsets").splitlines() == [
        "4",
        "4",
    ]
    assert dlq("retry", "--all")[1].splitlines()[-1] == "2 tried: 0 stored (0 rows), 2 refused again"


def test_retry_of_one(dlq: Dlq, market: Any) -> None:
    """Only the letter that was named is tried."""
    assert dlq("retry", "market.enriched/0/0", "--json") == (0, '{"stored": ["market.enriched/0/0"], "refused": {}, "rows": 2}\n')
    assert market.sql("SELECT count(*) FROM stockifyd.dead_letters") == "3"


def test_retry_wants_to_know_which(dlq: Dlq) -> None:
    """Neither names nor --all: a usage error, nothing is tried."""
    assert dlq("retry")[0] == 2


def test_an_unknown_sink_is_named(dlq: Dlq) -> None:
    """With the sinks that there are."""
    with pytest.raises(Drift) as caught:
        dlq("ls", "--sink", "other")
    assert "postgres" in caught.value.hint
