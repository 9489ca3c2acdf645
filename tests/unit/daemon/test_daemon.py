"""The daemon around the pipelines: status, metrics, HTTP, log lines, progress."""

from __future__ import annotations

import asyncio
import json
import logging

import aiohttp
import pytest

from stockifyd.api import Drift
from stockifyd.daemon import progress
from stockifyd.daemon.daemon import Daemon
from stockifyd.daemon.http import Http, is_loopback, parsed
from stockifyd.daemon.logs import JsonFormatter, TextFormatter
from stockifyd.daemon.metrics import Metrics
from stockifyd.daemon.status import PipelineStatus, Watch
from stockifyd.daemon.supervised import Supervised
from stockifyd.daemon.supervisor import Supervisor
from stockifyd.runtime.blueprint import blueprint_of
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.runtime.state import State
from stockifyd.spec.model import Instance
from stockifyd.testing import MemoryStore, MemoryTopic
from unit.daemon.daemons import IMPATIENT, spec_of, text
from unit.runtime.pipelines import FAST, until


def supervised(topic: MemoryTopic, store: MemoryStore, name: str = "contract") -> Supervised:
    """Over the fakes; a failure is tried again twice."""
    spec = spec_of(text(topic, store, name=name))
    start = lambda wanted: Pipeline(blueprint_of(wanted, Instance()), timing=FAST)  # noqa: E731
    return Supervised(spec, Instance(), start=start, patience=IMPATIENT)


def daemon_of(*some: Supervised) -> Daemon:
    known = {one.name: one for one in some}
    return Daemon(Supervisor(None, lambda spec: known[spec.name], [one.spec for one in some]))


async def test_exit_code_is_0_when_all_are_finished() -> None:
    """Two bounded pipelines side by side."""
    (one, two), (store, other) = (MemoryTopic("a", "b"), MemoryTopic("c")), (MemoryStore(), MemoryStore())
    assert await daemon_of(supervised(one, store), supervised(two, other, "second")).run() == 0
    assert (len(store.messages), len(other.messages)) == (2, 1)


async def test_exit_code_is_70_when_one_fails_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of the runtime in one pipeline is that pipeline's; it is started again, and then held with its reason."""
    topics, store, other = (MemoryTopic("a"), MemoryTopic("a")), MemoryStore(), MemoryStore()
    broken, healthy = supervised(topics[0], other, "broken"), supervised(topics[1], store, "healthy")
    supervise = Pipeline._supervise

    async def fail(self: Pipeline) -> None:
        if self.name == "broken":
            raise RuntimeError("bug")
        await supervise(self)

    monkeypatch.setattr(Pipeline, "_supervise", fail)
    async with asyncio.timeout(20):
        assert await daemon_of(broken, healthy).run() == 70
    assert (broken.state, broken.reason, broken.restarts) == (State.FAILED, "RuntimeError: bug", IMPATIENT.failures)
    assert len(store.messages) == 1


async def test_pages_answer_what_they_should() -> None:
    """Health, readiness, status as JSON, metrics, and the page."""
    topic, store = MemoryTopic("a", "bad", "c", endless=True), MemoryStore()
    one = supervised(topic, store)
    pipeline, watch = one.pipeline, Watch(one)
    task = asyncio.create_task(one.run())
    http = Http(lambda: [watch.status()], Metrics(lambda: [watch.status()], lambda: 0.0))
    address = await http.start("127.0.0.1:0")
    async with aiohttp.ClientSession() as session, asyncio.timeout(20):
        await until(lambda: pipeline.counters.delivered == 2)

        async def get(path: str) -> tuple[int, str]:
            async with session.get(address + path) as answer:
                return answer.status, await answer.text()

        assert await get("healthz") == (200, "ok\n")
        assert await get("readyz") == (200, "ready\n")
        (status,) = json.loads((await get("status"))[1])
        assert (status["state"], status["messages_delivered"], status["messages_rejected"]) == ("running", 2, 1)
        assert status["partitions"] == [{"topic": "contract", "partition": 0, "next_offset": 3, "lag": 0}]
        metrics = (await get("metrics"))[1]
        assert 'stockifyd_messages_total{outcome="delivered",pipeline="contract"} 2.0' in metrics
        assert 'stockifyd_pipeline_state{pipeline="contract",state="running"} 1.0' in metrics
        assert "<title>stockifyd</title>" in (await get(""))[1]
        store.unreachable = Drift("a column is gone")
        topic.add("d")
        await until(lambda: pipeline.state is State.HALTED)
        assert await get("readyz") == (503, "contract: halted a column is gone\n")
        assert (await get("healthz"))[0] == 200
    one.stop()
    await task
    await http.stop()


async def test_address_beyond_loopback_needs_a_token() -> None:
    """Refused without one; with one, only health is open."""
    nobody = Http(list, Metrics(list, lambda: 0.0))
    with pytest.raises(Drift, match="no token"):
        await nobody.start("0.0.0.0:0")
    http = Http(list, Metrics(list, lambda: 0.0), token="s3cret")
    address = (await http.start("0.0.0.0:0")).replace("0.0.0.0", "127.0.0.1")
    async with aiohttp.ClientSession() as session:
        seen = []
        for path, headers in (("healthz", {}), ("status", {}), ("status", {"Authorization": "Bearer s3cret"})):
            async with session.get(address + path, headers=headers) as answer:
                seen.append(answer.status)
    await http.stop()
    assert seen == [200, 401, 200]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), (":9", ("127.0.0.1", 9)), ("8080", ("127.0.0.1", 8080))],
)
def test_listen_is_host_and_port(listen: str, expected: tuple[str, int]) -> None:
    """IPv6 in brackets; without a host, loopback."""
    assert parsed(listen) == expected


@pytest.mark.parametrize("listen", ["", "x:y", "h:99999", "h:²"])
def test_bad_listen_says_what_it_is(listen: str) -> None:
    """With the value and an example."""
    with pytest.raises(ValueError, match="HOST:PORT, such as"):
        parsed(listen)


def test_loopback_is_known() -> None:
    """Names are not looked up: an unknown one counts as outside."""
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "example.org")] == [True] * 4 + [
        False
    ] * 2


def record(level: int = logging.INFO, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("stockifyd.storage.postgres", level, "f", 1, "said %s", ("it",), None)
    made.__dict__.update(more)
    return made


def test_text_lines_name_the_pipeline_and_only_unusual_levels() -> None:
    """INFO is not named."""
    assert TextFormatter().format(record()).endswith(" storage  said it")
    assert TextFormatter().format(record(logging.WARNING)).endswith(" storage  WARNING said it")


def test_json_lines_are_objects() -> None:
    """With time, level, logger and message."""
    said = json.loads(JsonFormatter().format(record(created=1_700_000_000.25, msecs=250)))
    assert said == {
        "time": "2023-11-14T22:13:20.250Z", "level": "info", "logger": "stockifyd.storage.postgres", "message": "said it",
    }  # fmt: skip


def status(lag: int | None, left: float | None) -> PipelineStatus:
    return PipelineStatus(
        "storage", "running", "", "", 1, 1, 0, 12345, 0, {}, {}, {}, 0, 0, {}, None, "", 90.0, 45000.4, lag, left, []
    )  # fmt: skip


def test_progress_shows_only_while_catching_up() -> None:
    """Messages, rows a second, lag and the time left."""
    assert progress.line([status(5, 0.1), status(None, None)]) == ""
    assert progress.line([status(1_234_567, 80)]) == "storage  12,345 messages  45,000 rows/s  lag 1,234,567  1 m 20 s left"


@pytest.mark.parametrize(("secs", "text"), [(8.4, "8 s"), (80, "1 m 20 s"), (7500, "2 h 5 m")])
def test_spans_read_well(secs: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert progress.span(secs) == text
