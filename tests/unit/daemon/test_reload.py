"""Spec files that change under a running daemon: by the control socket, and by themselves."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from stockifyd.api import Drift, StockifydError, Unavailable
from stockifyd.daemon import plugin_code, supervisor, watching
from stockifyd.runtime.state import State
from stockifyd.testing import MemoryStore, MemoryTopic
from unit.daemon.daemons import daemon, text
from unit.runtime.pipelines import bodies, texts


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Editors of tests are fast, and so are looks."""
    monkeypatch.setattr(watching, "DEBOUNCE_MS", 60)
    monkeypatch.setattr(watching, "LOOK_MS", 200)
    monkeypatch.setattr(supervisor, "TWO_STEPS_SECS", 0.3)


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    return folder


async def test_a_changed_file_is_taken_by_itself(specs: Path, tmp_path: Path) -> None:
    """A sink edit: no message is lost or doubled, and the source is not read anew."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, old))
    async with daemon(path, folder=tmp_path) as running:
        await old.until(lambda s: len(s.messages) == 5)
        path.write_text(text(topic, new))
        await new.until(lambda s: s.opened == 1)
        topic.add(*bodies(5, 5))
        await new.until(lambda s: len(old.messages) + len(s.messages) == 10)
        await running.until(lambda: old.closed == 1)
        (status,) = await running.get("/status")
        assert (status["last_reload"]["outcome"], status["reloads"], topic.reads) == ("applied", {"applied": 1}, 1)
    assert texts(old) + texts(new) == bodies(10)


async def test_a_broken_file_leaves_the_old_running(specs: Path, tmp_path: Path) -> None:
    """The findings are in the answer, in the status and in the metric; the corrected file is taken."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 5)
        path.write_text(text(topic, store).replace("rows_each", "rows_eech"))
        (result,) = await running.post("/reload", {})
        assert (result["outcome"], "rows_eech" in result["reason"], "did you mean" in result["hint"]) == ("refused", True, True)
        (status,) = await running.get("/status")
        assert (status["state"], status["last_reload"]["outcome"]) == ("running", "refused")
        path.write_text(text(topic, store, rows_each=2))
        assert await running.reload() == {"contract": "applied"}
        topic.add(*bodies(5, 5))
        await store.until(lambda s: len(s.messages) == 10)
    assert len(store.rows["options"]) == 5 + 10


async def test_a_broken_file_that_is_put_back(specs: Path, tmp_path: Path) -> None:
    """Nothing has changed in the end: the status complains no longer."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await running.until(lambda: running.pipeline().is_well)
        path.write_text(text(topic, store).replace("rows_each", "rows_eech"))
        assert await running.reload() == {"contract": "refused"}
        path.write_text(text(topic, store))
        assert await running.reload() == {"contract": "unchanged"}
        assert "unchanged" == (await running.get("/status"))[0]["last_reload"]["outcome"]


async def test_a_sink_that_cannot_be_opened_is_refused(specs: Path, tmp_path: Path) -> None:
    """With its reason and its hint; the pipeline never stopped."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    new.unreachable = Drift("there is no table", hint="stockifyd migrate")
    path = specs / "contract.yaml"
    path.write_text(text(topic, old))
    async with daemon(path, folder=tmp_path) as running:
        await old.until(lambda s: len(s.messages) == 5)
        path.write_text(text(topic, new))
        (result,) = await running.post("/reload", {})
        assert (result["outcome"], result["reason"], result["hint"]) == ("refused", "there is no table", "stockifyd migrate")
        assert (running.pipeline().state, old.closed) == (State.RUNNING, 0)


@pytest.mark.parametrize("trouble", ["file", "sink"])
async def test_a_refusal_is_said_once(specs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str) -> None:
    """The daemon sees the file by itself and says why; who asks for it again is answered, and the log says nothing more.

    When it is refused anew, after it was put right, the log says so anew.
    """
    topic, old, new = MemoryTopic(endless=True), MemoryStore(), MemoryStore()
    new.unreachable = Drift("there is no table")
    good = text(topic, old)
    bad, reason = (good.replace("rows_each", "rows_eech"), "rows_eech") if trouble == "file" else (text(topic, new), "no table")
    path = specs / "contract.yaml"
    path.write_text(good)

    def said() -> int:
        return sum(record.levelname == "ERROR" and "reload refused" in record.getMessage() for record in caplog.records)

    async with daemon(path, folder=tmp_path) as running:
        await running.until(lambda: running.pipeline().is_well)
        for times in (1, 2):
            path.write_text(bad)
            await running.until(lambda: said() == times)  # noqa: B023 - asked before the next round
            for _ in range(2):
                (result,) = await running.post("/reload", {})
                assert (result["outcome"], reason in result["reason"]) == ("refused", True)
            assert said() == times
            path.write_text(good)
            assert await running.reload() == {"contract": "unchanged"}


async def test_a_reload_resumes_where_it_is_asked_to(specs: Path, tmp_path: Path) -> None:
    """What is halted and unchanged stays so; with `resume`, as at SIGHUP and `systemctl reload`, it goes on."""
    topic, store = MemoryTopic(*bodies(1), endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 1)
        store.unreachable = Drift("a column is gone")
        topic.add(*bodies(1, 1))
        await running.until(lambda: running.pipeline().state is State.HALTED)
        store.unreachable = None
        assert ({"contract": "unchanged"}, State.HALTED) == (await running.reload(), running.pipeline().state)
        await running.post("/reload", {"resume": True})
        await store.until(lambda s: len(s.messages) == 2)


async def test_another_source_restarts_that_pipeline_alone(specs: Path, tmp_path: Path) -> None:
    """The other one is not touched."""
    topics = [MemoryTopic(*bodies(5), endless=True) for _ in range(3)]
    stores = [MemoryStore() for _ in range(3)]
    (specs / "one.yaml").write_text(text(topics[0], stores[0], name="one"))
    (specs / "two.yaml").write_text(text(topics[1], stores[1], name="two"))
    async with daemon(specs, folder=tmp_path) as running:
        await stores[1].until(lambda s: len(s.messages) == 5)
        await running.until(lambda: running.pipeline("one").is_well)
        (specs / "one.yaml").write_text(text(topics[2], stores[2], name="one"))
        assert await running.reload() == {"one": "restarted", "two": "unchanged"}
        await stores[2].until(lambda s: len(s.messages) == 5)
        assert (topics[1].reads, stores[1].closed, stores[0].closed) == (1, 0, 1)


async def test_files_come_go_and_are_renamed(specs: Path, tmp_path: Path) -> None:
    """In a folder: a new one is started, a renamed one goes on as it is, one that has gone is drained and stopped."""
    topics, stores = [MemoryTopic(*bodies(5), endless=True) for _ in range(2)], [MemoryStore() for _ in range(2)]
    (specs / "one.yaml").write_text(text(topics[0], stores[0], name="one"))
    async with daemon(specs, folder=tmp_path) as running:
        await stores[0].until(lambda s: len(s.messages) == 5)
        (specs / "two.yaml").write_text(text(topics[1], stores[1], name="two"))
        await stores[1].until(lambda s: len(s.messages) == 5)
        (specs / "one.yaml").rename(specs / "first.yaml")
        await running.until(lambda: running.supervisor.pipelines["one"].spec.path.endswith("first.yaml"))
        assert (topics[0].reads, stores[0].closed) == (1, 0)
        (specs / "two.yaml").unlink()
        await running.until(lambda: "two" not in running.supervisor.pipelines)
        await running.until(lambda: stores[1].closed == 1)
        assert running.pipeline("one").state is State.RUNNING


async def test_an_empty_folder_is_waited_with(specs: Path, tmp_path: Path) -> None:
    """A checkout that takes all away for a moment ends no daemon."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    (specs / "one.yaml").write_text(text(topic, store))
    async with daemon(specs, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 5)
        (specs / "one.yaml").unlink()
        await running.until(lambda: not running.supervisor.pipelines)
        (specs / "one.yaml").write_text(text(topic, store))
        topic.add(*bodies(5, 5))
        await store.until(lambda s: len(s.messages) == 10)
        assert not running.task.done()


async def _atomically(path: Path, content: str) -> None:
    path.with_suffix(".tmp").write_text(content)
    path.with_suffix(".tmp").replace(path)


async def _in_two_steps(path: Path, content: str) -> None:
    path.rename(path.with_suffix(".yaml~"))
    await asyncio.sleep(0.1)
    path.write_text(content)


async def _half_written(path: Path, content: str) -> None:
    with path.open("w") as file:
        for at in range(0, len(content), 40):
            file.write(content[at : at + 40])
            file.flush()
            await asyncio.sleep(0.02)


async def _by_a_new_folder(path: Path, content: str) -> None:
    other = path.parent.with_name("other")
    shutil.copytree(path.parent, other)
    (other / path.name).write_text(content)
    shutil.rmtree(path.parent)
    other.rename(path.parent)


@pytest.mark.parametrize("save", [_atomically, _in_two_steps, _half_written, _by_a_new_folder])
@pytest.mark.parametrize("is_folder", [True, False])
async def test_habits_of_editors(specs: Path, tmp_path: Path, save: object, *, is_folder: bool) -> None:
    """However it is saved: taken once it is whole, and the pipeline never stops."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, old))
    async with daemon(specs if is_folder else path, folder=tmp_path) as running:
        await old.until(lambda s: len(s.messages) == 5)
        pipeline = running.pipeline()
        await save(path, text(topic, new))  # type: ignore[operator]
        await running.until(lambda: old.closed == 1)
        topic.add(*bodies(5, 5))
        await new.until(lambda s: len(s.messages) == 5)
        assert (running.pipeline() is pipeline, topic.reads) == (True, 1)
    assert texts(old) + texts(new) == bodies(10)


async def test_a_config_map_is_swapped(specs: Path, tmp_path: Path) -> None:
    """As Kubernetes does it: the file is a link through a link, and the inner one is replaced."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    for name, store in (("..1", old), ("..2", new)):
        (specs / name).mkdir()
        (specs / name / "contract.yaml").write_text(text(topic, store))
    (specs / "..data").symlink_to("..1")
    (specs / "contract.yaml").symlink_to(Path("..data", "contract.yaml"))
    async with daemon(specs, folder=tmp_path):
        await old.until(lambda s: len(s.messages) == 5)
        (specs / "..new").symlink_to("..2")
        (specs / "..new").replace(specs / "..data")
        await new.until(lambda s: s.opened == 1)
        topic.add(*bodies(5, 5))
        await new.until(lambda s: len(old.messages) + len(s.messages) == 10)
        assert topic.reads == 1


async def test_a_file_that_was_named_is_missed_not_obeyed(specs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`run storage.yaml`, and the file is gone: an accident, so the pipeline goes on, and it is said, once."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 5)
        path.unlink()
        (result,) = await running.post("/reload", {})
        assert (result["outcome"], "is gone" in result["reason"]) == ("refused", True)
        await running.post("/reload", {})
        assert 1 == caplog.text.count(f"{path} is gone")
        topic.add(*bodies(5, 5))
        await store.until(lambda s: len(s.messages) == 10)


@pytest.mark.parametrize("trouble", ["halts", "waits"])
async def test_what_proves_wrong_is_taken_back(specs: Path, tmp_path: Path, trouble: str) -> None:
    """Within `confirm_secs`: the spec before runs again, by itself, and it is said why; nothing is lost."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, old))
    async with daemon(path, folder=tmp_path) as running:
        await old.until(lambda s: len(s.messages) == 5)
        path.write_text(text(topic, new, confirm_secs=0.6))
        assert await running.reload() == {"contract": "applied"}
        error = Drift("column is gone") if trouble == "halts" else Unavailable("connection refused")
        new.unreachable = error
        new.fail(*[error] * 1000)
        topic.add(*bodies(5, 5))
        await old.until(lambda s: len(s.messages) == 10)
        await running.until(lambda: running.supervisor.pipelines["contract"].reloads.get("rolled_back") == 1)
        (status,) = await running.get("/status")
        assert (status["state"], status["last_reload"]["outcome"]) == ("running", "rolled_back")
        assert error.reason in status["last_reload"]["reason"]
        assert "halted" in status["last_reload"]["reason"] or "waiting" in status["last_reload"]["reason"]
    assert texts(old) == bodies(10)


async def test_a_spec_that_ran_well_is_kept(specs: Path, tmp_path: Path) -> None:
    """Word for word; one that was refused is not."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    path = specs / "contract.yaml"
    content = text(topic, store, confirm_secs=0.05)
    path.write_text(content)
    async with daemon(path, folder=tmp_path) as running:
        await running.until(lambda: running.good.folder.exists() and any(running.good.folder.iterdir()))
        path.write_text("version: 1\n")
        await running.post("/reload", {})
    (kept,) = running.good.folder.iterdir()
    assert content == kept.read_text()


async def test_what_a_plan_says(specs: Path, tmp_path: Path) -> None:
    """What a reload would do, with nothing done."""
    topic, store, other = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(specs, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 5)
        path.write_text(text(topic, other, rows_each=2))
        (specs / "new.yaml").write_text(text(topic, other, name="fresh"))
        (specs / "bad.yaml").write_text("version: 1\nname: bad\n")
        # Before the daemon notices by itself: the answer is of this moment.
        found = {one["pipeline"]: (one["outcome"], one["changed"]) for one in await running.get("/plan")}
        assert found["contract"] in (
            ("applied", "'memory_rows' changed, 'memory_ledger' changed; between batches"),
            ("unchanged", ""),
        )
        assert (found["fresh"][0] in ("started", "unchanged"), found["bad"][0]) == (True, "refused")


async def test_pause_and_resume(specs: Path, tmp_path: Path) -> None:
    """By the socket; a name that nobody has is refused."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await store.until(lambda s: len(s.messages) == 5)
        await running.post("/pause/contract")
        assert "paused" == (await running.get("/status"))[0]["state"]
        topic.add(*bodies(5, 5))
        await running.post("/resume/contract")
        await store.until(lambda s: len(s.messages) == 10)
        with pytest.raises(StockifydError, match="no pipeline is called 'nobody'"):
            await running.post("/pause/nobody")


async def test_tap(specs: Path, tmp_path: Path) -> None:
    """Each stage shows what leaves it; an unknown one names those that there are."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await running.until(lambda: running.pipeline().is_well)
        for stage, expected in (("source", b'"value":"seen"'), ("memory_rows", b'"table":"options"'), ("sinks", b'"row":{')):
            from stockifyd.cli.daemons import Daemon

            lines = Daemon(running.socket).lines(f"/tap/contract?stage={stage}")
            line = asyncio.create_task(asyncio.to_thread(next, lines))
            await running.until(lambda: running.pipeline().taps.is_open)
            topic.add("seen")
            assert expected in await line
            lines.close()  # type: ignore[attr-defined]
            await running.until(lambda: not running.pipeline().taps.is_open)
        with pytest.raises(StockifydError, match="no stage is called 'x': there are source, memory_rows, sinks"):
            await asyncio.to_thread(next, Daemon(running.socket).lines("/tap/contract?stage=x"))


async def test_the_socket_is_ours(specs: Path, tmp_path: Path) -> None:
    """User and group may; it goes with the daemon."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    path = specs / "contract.yaml"
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        assert 0o660 == running.socket.stat().st_mode & 0o777
        assert 0o700 == running.socket.parent.stat().st_mode & 0o777
    assert not running.socket.exists()


async def test_plugin_code_that_changed_needs_a_restart(
    specs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once in the log, and to whoever asks for a reload."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    path, code = specs / "contract.yaml", tmp_path / "plugin.py"
    code.write_text("# one")
    monkeypatch.setattr(plugin_code, "_files", lambda _: {code})
    path.write_text(text(topic, store))
    async with daemon(path, folder=tmp_path) as running:
        await running.until(lambda: running.pipeline().is_well)
        assert "" == (await running.post("/reload", {}))[0]["hint"]
        code.write_text("# another")
        await running.until(lambda: "has changed on disk" in caplog.text)
        (result,) = await running.post("/reload", {})
        assert (result["outcome"], "restart the daemon" in result["hint"]) == ("unchanged", True)
    assert 1 == caplog.text.count("has changed on disk")
