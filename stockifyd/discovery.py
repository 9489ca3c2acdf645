"""Plugins, from where they are installed to the component classes they bring; one that is broken is named, never fatal."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import linecache
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import click
import msgspec
import pluggy

from stockifyd.api import (
    Component,
    Config,
    LoadSpec,
    Secret,
    Sink,
    Source,
    Transform,
    config_type,
    hooks,
)

Role = Literal["source", "transform", "sink"]
Key = tuple[Role, str]

ROLES: Mapping[Role, type[Component[Any]]] = {"source": Source, "transform": Transform, "sink": Sink}
RESERVED_OPTIONS = frozenset({"type", "name", "required"})
"""Keys beside a component's options in a spec."""

GROUP = "stockifyd"
HOME = "stockifyd"
"""The distribution whose plugins are the built-ins: they come first, so that nobody can shadow them."""

_TYPE = re.compile(r"[a-z][a-z0-9_]*")
_HOOKS = ("stockifyd_components", "stockifyd_messages", "stockifyd_commands")


@dataclass(frozen=True, slots=True)
class Entry:
    """A component class, and where it came from."""

    role: Role
    type: str
    component: builtins.type[Component[Any]]
    config: builtins.type[Config]
    plugin: str
    version: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A plugin that was skipped. `brings`: the components it was to bring, as far as they are known."""

    plugin: str
    reason: str
    where: str = ""
    version: str = ""
    brings: tuple[Key, ...] = ()

    def __str__(self) -> str:
        origin = f" ({self.version})" if self.version else ""
        place = f" [{self.where}]" if self.where else ""
        return f"plugin {self.plugin!r}{origin} is skipped: {self.reason}{place}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin to be: `load` imports it, and may fail in any way."""

    name: str
    version: str
    load: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Found:
    """All that one plugin brings."""

    plugin: str
    entries: tuple[Entry, ...] = ()
    messages: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)
    commands: Mapping[str, click.Command] = field(default_factory=dict)


class Broken(Exception):
    """A plugin cannot be used. `brings`: the components it was to bring, as far as they are known."""

    def __init__(self, reason: str, where: str = "", brings: tuple[Key, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.where, self.brings = " ".join(reason.split()), where, brings


def installed(*, built_in: bool) -> list[Candidate]:
    points = {(_distribution(p)[0], p.name, p.value): p for p in entry_points(group=GROUP)}  # a path listed twice is one plugin
    ours_first = sorted(points, key=lambda key: (key[0] != HOME, key))
    wanted = [points[key] for key in ours_first if not built_in or key[0] == HOME]
    return [Candidate(p.name, " ".join(_distribution(p)), p.load) for p in wanted]


@cache
def _distribution(point: EntryPoint) -> tuple[str, str]:
    about = point.dist.metadata if point.dist else None  # read from a file at each call
    return ("", "") if about is None else (about["Name"], about["Version"])


def from_file(path: Path) -> Candidate:
    return Candidate(path.stem, str(path), lambda: _import_file(path))


class _CheckedLoader(importlib.machinery.SourceFileLoader):
    """Imports what was checked, and nothing that somebody left in __pycache__."""

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002  importlib calls it so
        with Path(self.path).open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_uid not in (0, os.geteuid()):
                raise Broken(f"its file belongs to user {about.st_uid}, not to us or root: chown it")
            if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise Broken(f"its file may be written by others (mode {stat.S_IMODE(about.st_mode):o}): chmod go-w it")
            return self.source_to_code(file.read(), self.path)


def _import_file(path: Path) -> ModuleType:
    name = f"stockifyd_plugin_file_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    spec = importlib.util.spec_from_loader(name, _CheckedLoader(name, str(path.absolute())))
    if spec is None or spec.loader is None:
        raise Broken("its file cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # msgspec finds the names in annotations there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def read(candidate: Candidate, load_spec: LoadSpec) -> Found:
    try:
        plugin = candidate.load()
        calls = _hook_calls(plugin)
        classes = [c for many in calls.stockifyd_components() for c in many]
        messages = {n: m for many in calls.stockifyd_messages() for n, m in dict(many).items()}
        commands = [c for many in calls.stockifyd_commands(load=load_spec) for c in many]
    except Broken:
        raise
    except pluggy.PluginValidationError as error:
        raise Broken(str(error)) from error
    except (Exception, SystemExit) as error:  # a plugin may fail in any way: that is its problem, and named
        raise Broken(_reason(error), _where(error)) from error
    _check_contents(messages, commands)
    entries = _entries(classes, candidate)
    return Found(candidate.name, entries, messages, {str(c.name): c for c in commands})


def _hook_calls(plugin: Any) -> Any:
    # A plugin manager for each: one that is wrong cannot disturb the others, and every answer has an author.
    manager = pluggy.PluginManager("stockifyd")
    manager.add_hookspecs(hooks)
    manager.register(plugin)
    manager.check_pending()
    unmarked = [n for n in _HOOKS if callable(getattr(plugin, n, None)) and not hasattr(getattr(plugin, n), "stockifyd_impl")]
    if unmarked:
        raise Broken(f"{unmarked[0]} is not marked with @hookimpl", _place(getattr(plugin, unmarked[0])))
    if not manager.get_hookcallers(plugin):
        raise Broken("it has none of the hooks: write stockifyd_components and mark it with @hookimpl", _place(plugin))
    return manager.hook


def _check_contents(messages: Mapping[str, Any], commands: Sequence[Any]) -> None:
    for name, message in messages.items():
        if not (isinstance(message, type) and issubclass(message, msgspec.Struct)):
            raise Broken(f"message {name!r} is not a msgspec.Struct class")
    for command in commands:
        if not isinstance(command, click.Command) or not command.name:
            raise Broken(f"stockifyd_commands gives {command!r}, which is not a click command with a name")


def _entries(classes: Sequence[Any], candidate: Candidate) -> tuple[Entry, ...]:
    brings = tuple(key for c in classes for key in _key(c))
    try:
        entries = tuple(entry_of(c, candidate.name, candidate.version) for c in classes)
    except Broken as broken:
        raise Broken(broken.reason, broken.where, brings) from broken
    twice = [key for key in brings if brings.count(key) > 1]
    if twice:
        raise Broken(f"it brings {twice[0][0]} {twice[0][1]!r} twice", brings=brings)
    return entries


def _key(component: Any) -> Iterator[Key]:
    for role, base in ROLES.items():
        if isinstance(component, type) and issubclass(component, base) and isinstance(getattr(component, "type", None), str):
            yield role, component.type


def entry_of(component: Any, plugin: str, version: str) -> Entry:
    if not isinstance(component, type) or not issubclass(component, Component):
        raise Broken(f"stockifyd_components gives {component!r}, which is not a Source, Transform or Sink class")
    name, where = component.__name__, _place(component)
    roles = [role for role, base in ROLES.items() if issubclass(component, base)]
    if len(roles) != 1:
        raise Broken(f"{name} must be a Source, a Transform or a Sink, and only one of them", where)
    word = getattr(component, "type", None)
    if not isinstance(word, str) or not _TYPE.fullmatch(word):
        raise Broken(f"{name}.type must be a word like 'csv' ([a-z][a-z0-9_]*), it is {word!r}", where)
    if abstract := sorted(getattr(component, "__abstractmethods__", ())):
        raise Broken(f"{name} does not have the method {abstract[0]!r}", where)
    return Entry(roles[0], word, component, _options(component, where), plugin, version)


def _options(component: type[Component[Any]], where: str) -> type[Config]:
    try:
        config = config_type(component)
        msgspec.json.schema_components([config], schema_hook=schema_hook)
    except Exception as error:  # annotations are the author's code
        raise Broken(f"{component.__name__}: its options cannot be described: {error}", where) from error
    reserved = RESERVED_OPTIONS.intersection(config.__struct_encode_fields__)
    if reserved:
        raise Broken(
            f"{config.__name__}: option {min(reserved)!r} has the name of a key that every component has", _place(config)
        )
    return config


def check_clashes(new: Found, found: Mapping[str, Found], taken_commands: Collection[str]) -> None:
    brings = tuple((e.role, e.type) for e in new.entries)
    if new.plugin in found:
        raise Broken(f"there is a plugin {new.plugin!r} already", brings=brings)
    for name in new.commands:
        if name in taken_commands:
            raise Broken(f"command {name!r} is one of stockifyd itself", brings=brings)
    for old in found.values():
        theirs = {(e.role, e.type) for e in old.entries}
        clashes = [f"{role} {word!r}" for role, word in brings if (role, word) in theirs]
        clashes += [f"message {n!r}" for n in new.messages if n in old.messages]
        clashes += [f"command {n!r}" for n in new.commands if n in old.commands]
        if clashes:
            raise Broken(f"{clashes[0]} is there already, from plugin {old.plugin!r}", brings=brings)


def schema_hook(wanted: type) -> dict[str, Any]:
    """How a JSON Schema describes types of ours."""
    if wanted is Secret:
        return {"type": "string", "format": "secret"}
    raise NotImplementedError(f"{wanted} has no JSON Schema")


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename}: there is no such file"
    return f"{type(error).__name__}: {error}"


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not f.filename.startswith("<") and f.filename != __file__ and "/importlib/" not in f.filename]
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else ""


def _place(thing: Any) -> str:
    """`file:line` where a module, a function or a class is written. Cheap: every start asks it of every component."""
    if isinstance(thing, ModuleType):
        return f"{thing.__file__}:1" if thing.__file__ else ""
    if isinstance(thing, type):
        return _place_of_class(thing)
    code = getattr(thing, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


def _place_of_class(kind: type) -> str:
    """By a look for its name: `inspect` parses the whole file, which takes longer than importing it."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    text = "".join(linecache.getlines(file))
    found = re.search(rf"^[ \t]*class {re.escape(kind.__name__)}\b", text, re.MULTILINE)
    return f"{file}:{text.count(chr(10), 0, found.start()) + 1}" if found else ""  # made at run time: it has no source
