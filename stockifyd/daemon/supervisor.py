"""All pipelines of a daemon: one for each spec, kept as their files say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from stockifyd.daemon.plugin_code import HINT, PluginCode
from stockifyd.daemon.specs import Reading, Specs
from stockifyd.daemon.supervised import Outcome, Reloaded, Supervised
from stockifyd.runtime.state import State
from stockifyd.runtime.tasks import cancelled
from stockifyd.spec import Loaded, Spec
from stockifyd.spec.diff import Effect, difference

TWO_STEPS_SECS = 1.5
OUTCOMES: Mapping[Effect, Outcome] = {"nothing": "unchanged", "restart": "restarted"}

log = logging.getLogger("stockifyd.daemon")


class Supervisor:
    """`run` returns when every pipeline has ended. A crash of one is its own."""

    def __init__(self, specs: Specs | None, supervise: Callable[[Spec], Supervised], first: Iterable[Spec]) -> None:
        self._specs = specs
        self._supervise = supervise
        self.pipelines: dict[str, Supervised] = {spec.name: supervise(spec) for spec in first}
        self.refused: dict[str, Loaded] = {}
        """Files that cannot be read as a spec, by path, each said once."""
        self._seen = specs.fingerprint() if specs else ()
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._code = PluginCode()
        self._code.look(one.spec for one in self.pipelines.values())
        self._came = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.around_reload: Callable[[], AbstractContextManager[object]] = nullcontext
        """Entered for every reload: by whoever is to know that one goes on."""
        self._is_stopping = False

    @property
    def failed(self) -> bool:
        """Whether one has failed for good."""
        return any(one.pipeline.state is State.FAILED for one in self.pipelines.values())

    async def run(self) -> None:
        """Run all, and those that come meanwhile."""
        for one in self.pipelines.values():
            self._start(one)
        while self._tasks or self._waits_for_specs:
            self._came.clear()
            came = asyncio.create_task(self._came.wait())
            done, _ = await asyncio.wait({came, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
            await cancelled(came)
            for task in [task for task in self._tasks if task in done]:
                self._tasks.pop(task)
                task.result()

    @property
    def _waits_for_specs(self) -> bool:
        """Whether a folder has no spec any more, and may have one soon."""
        return not self.pipelines and not self._is_stopping and self._specs is not None

    def stop(self) -> None:
        """Drain all."""
        self._is_stopping = True
        self._came.set()
        for one in self.pipelines.values():
            one.stop()

    async def look(self) -> None:
        """Reload if a file has come, gone or changed since the last time. What is gone may be an editor's two-step save."""
        if self._specs is None:
            return
        self._say_stale_code()
        if await asyncio.to_thread(self._specs.fingerprint) == self._seen:
            return
        if not all(map(_is_there, self.pipelines.values())):
            await asyncio.sleep(TWO_STEPS_SECS)
        await self.reload()

    async def reload(self, names: Iterable[str] = (), *, resume: bool = False) -> list[Reloaded]:
        """Make it so as the files say now, of all pipelines or of these; `resume` those that are halted and have not changed."""
        async with self._one_at_a_time:
            if self._specs is None or self._is_stopping:
                return []
            with self.around_reload():
                return await self._reload(self._specs, set(names), resume=resume)

    async def _reload(self, specs: Specs, wanted: set[str], *, resume: bool) -> list[Reloaded]:
        self._seen = await asyncio.to_thread(specs.fingerprint)
        reading = await asyncio.to_thread(specs.read)
        results = self._refuse_broken(reading)
        work = [self._changed(spec) for name, spec in reading.specs.items() if not wanted or name in wanted]
        results += [one for one in await asyncio.gather(*work) if one]
        results += [] if wanted else await self._stop_gone(reading)
        if resume:
            self._resume_halted(results)
        hint = self._say_stale_code()
        return [msgspec.structs.replace(one, hint=one.hint or hint) for one in results]

    def plan(self, reading: Reading) -> list[Reloaded]:
        """What a reload would do: its outcomes, with nothing done."""
        found = [_refusal(one, self._of_file(one.path)) for one in reading.broken]
        for name, spec in reading.specs.items():
            if (one := self.pipelines.get(name)) is None:
                found.append(Reloaded(name, "started"))
                continue
            how = difference(one.spec, spec)
            outcome: Outcome = OUTCOMES.get(how.effect, "applied")
            told = (
                f"{how}; {how.effect}" + ("; the group rebalances" if how.rebalances else "") if how.effect != "nothing" else ""
            )
            found.append(Reloaded(name, outcome, told))
        gone = [name for name, one in self.pipelines.items() if self._is_gone(one, reading)]
        return found + [Reloaded(name, "stopped") for name in gone]

    async def read(self) -> Reading:
        """What the files say now."""
        return await asyncio.to_thread(self._specs.read) if self._specs else Reading()

    def _say_stale_code(self) -> str:
        """Plugin code that has changed on disk, said once; the hint for whoever asks for a reload."""
        changed = self._code.look(one.spec for one in self.pipelines.values())
        for path in self._code.news(changed):
            log.warning(HINT.format(path))
        return HINT.format(", ".join(map(str, changed))) if changed else ""

    async def _changed(self, spec: Spec) -> Reloaded | None:
        self.refused.pop(spec.path, None)
        one = self.pipelines.get(spec.name)
        if one is None:
            one = self.pipelines[spec.name] = self._supervise(spec)
            self._start(one)
            log.info("pipeline '%s' is new: started", spec.name)
            return one.note(Reloaded(spec.name, "started"))
        result = await one.reload(spec)
        if one.name not in self._tasks.values() and result.outcome in ("applied", "restarted"):
            self._start(one)  # it had failed for good
        return result

    async def _stop_gone(self, reading: Reading) -> list[Reloaded]:
        results = []
        for name, one in [*self.pipelines.items()]:
            if self._is_gone(one, reading):
                log.warning("pipeline '%s' is in no spec any more: stopped", name)
                one.stop()
                del self.pipelines[name]
                results.append(Reloaded(name, "stopped"))
            elif name not in reading.specs and not any(one.spec.path == broken.path for broken in reading.broken):
                results.append(_missed(one))
        return results

    def _is_gone(self, one: Supervised, reading: Reading) -> bool:
        """Whether nothing wants a pipeline any more: its folder is there, and no file in it has it, not even a broken one."""
        if one.name in reading.specs or any(one.spec.path == broken.path for broken in reading.broken):
            return False
        return self._specs is not None and self._specs.is_of_a_folder(one.spec.path)

    def _refuse_broken(self, reading: Reading) -> list[Reloaded]:
        results = []
        for broken in reading.broken:
            one = self._of_file(broken.path)
            result = _refusal(broken, one)
            if (known := self.refused.get(broken.path)) is None or known.findings != broken.findings:
                log.error("%s: reload refused%s\n%s", broken.path, ", the old spec goes on" if one else "", _told(broken))
            self.refused[broken.path] = broken
            results.append(one.note(result) if one else result)
        return results

    def _of_file(self, path: str) -> Supervised | None:
        return next((one for one in self.pipelines.values() if one.spec.path == path), None)

    def _resume_halted(self, results: Iterable[Reloaded]) -> None:
        changed = {one.pipeline for one in results if one.outcome not in ("unchanged", "refused")}
        for name, one in self.pipelines.items():
            if name not in changed:
                one.pipeline.resume()

    def _start(self, one: Supervised) -> None:
        self._tasks[asyncio.create_task(one.run(), name=f"pipeline {one.name}")] = one.name
        self._came.set()


def _is_there(one: Supervised) -> bool:
    return Path(one.spec.path).exists()


def _missed(one: Supervised) -> Reloaded:
    reason = f"{one.spec.path} is gone or has another pipeline"
    if one.last is None or one.last.reason != reason:
        log.warning("pipeline '%s': %s; it goes on", one.name, reason)
    return one.note(Reloaded(one.name, "refused", reason=reason))


def _refusal(broken: Loaded, one: Supervised | None) -> Reloaded:
    errors = [finding for finding in broken.findings if finding.severity == "error"]
    name = one.name if one else broken.pipeline or broken.path
    hints = dict.fromkeys(error.hint for error in errors if error.hint)
    return Reloaded(name, "refused", reason="; ".join(error.told for error in errors), hint="; ".join(hints))


def _told(broken: Loaded) -> str:
    return "\n".join(str(finding) for finding in broken.findings)
