"""The control socket: HTTP over a unix socket that only this user and its group reach."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from stockifyd.api import Drift
from stockifyd.daemon.metrics import Metrics
from stockifyd.daemon.places import SOCKET, left_behind
from stockifyd.daemon.samples import lines
from stockifyd.daemon.status import PipelineStatus
from stockifyd.daemon.supervised import Reloaded, Supervised
from stockifyd.daemon.supervisor import Supervisor
from stockifyd.runtime.taps import SINKS, SOURCE

MODE = 0o660
IDLE_SECS = 1.0
CLOSE_SECS = 1.0
"""Who looks through a tap does not hold up the end."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reload is asked for. Pipelines by name; none: all. `resume`: also those that are halted and have not changed."""

    pipelines: tuple[str, ...] = ()
    dry_run: bool = False
    resume: bool = False


class Control:
    """Serves what `stockifyd status`, `pause`, `resume`, `reload`, `plan` and `tap` ask."""

    def __init__(self, supervisor: Supervisor, statuses: Callable[[], list[PipelineStatus]], metrics: Metrics) -> None:
        self._supervisor, self._statuses, self._metrics = supervisor, statuses, metrics
        self._runner: web.AppRunner | None = None
        self.path: Path | None = None

    async def start(self, folder: Path) -> Path:
        """Listen on `control.sock` in a folder of our own. Drift where that cannot be."""
        app = web.Application()
        app.add_routes([
            web.get("/status", self._status),
            web.get("/metrics", self._metrics_text),
            web.get("/plan", self._plan),
            web.get("/tap/{pipeline}", self._tap),
            web.post("/pause/{pipeline}", self._pause),
            web.post("/resume/{pipeline}", self._resume),
            web.post("/reload", self._reload),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_SECS)
        await self._runner.setup()
        path = folder / SOCKET
        try:
            _make(folder)
            await web.UnixSite(self._runner, path).start()
            _open_to_group(path)
        except OSError as error:
            raise Drift(f"{path}: {error.strerror or error}", hint="set STOCKIFYD_RUNTIME to a folder of your own") from error
        self.path = path
        return path

    async def stop(self) -> None:
        """Listen no more, and take the socket away."""
        if self._runner:
            await self._runner.cleanup()
        if self.path:
            _remove(self.path)

    async def _status(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return _json(self._statuses())

    async def _metrics_text(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(body=self._metrics.text())

    async def _plan(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return _json(self._supervisor.plan(await self._supervisor.read()))

    async def _reload(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read() or b"{}", type=Asked)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        if asked.dry_run:
            found = self._supervisor.plan(await self._supervisor.read())
        else:
            found = await self._supervisor.reload(asked.pipelines, resume=asked.resume)
        return _json(_of(found, asked.pipelines))

    async def _pause(self, request: web.Request) -> web.Response:
        self._named(request).pipeline.pause()
        return _json({})

    async def _resume(self, request: web.Request) -> web.Response:
        self._named(request).pipeline.resume()
        return _json({})

    async def _tap(self, request: web.Request) -> web.StreamResponse:
        """JSON lines until the other side goes away."""
        one, stage = self._named(request), request.query.get("stage", SINKS)
        if stage not in (stages := [SOURCE, *(transform.name for transform in one.spec.transforms), SINKS]):
            raise web.HTTPNotFound(text=f"no stage is called {stage!r}: there are {', '.join(stages)}\n")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        with one.pipeline.taps.open(stage) as tap, suppress(ConnectionResetError):  # who looked has seen enough
            while request.transport is not None and not request.transport.is_closing():
                try:
                    async with asyncio.timeout(IDLE_SECS):
                        batch = await tap.batches.get()
                except TimeoutError:
                    continue
                for line in lines(stage, batch):
                    await response.write(line)
        return response

    def _named(self, request: web.Request) -> Supervised:
        name = request.match_info["pipeline"]
        found = self._supervisor.pipelines.get(name)
        if found is None:
            raise web.HTTPNotFound(text=f"no pipeline is called {name!r}\n")
        return found


def _make(folder: Path) -> None:
    """The folder, without a socket that a daemon before us left; those of daemons that were killed go too."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.parent.stat().st_uid not in (os.getuid(), 0):
        raise PermissionError(errno.EPERM, "its folder belongs to somebody else")
    (folder / SOCKET).unlink(missing_ok=True)
    for gone in left_behind(folder):
        _remove(gone / SOCKET)


def _open_to_group(path: Path) -> None:
    path.chmod(MODE)


def _remove(path: Path) -> None:
    """The socket, and its folder where that was ours alone."""
    path.unlink(missing_ok=True)
    with suppress(OSError):  # systemd's, or not empty
        path.parent.rmdir()


def _of(found: Iterable[Reloaded], names: Iterable[str]) -> list[Reloaded]:
    wanted = set(names)
    return [one for one in found if not wanted or one.pipeline in wanted]


def _json(answer: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
