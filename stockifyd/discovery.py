"""What a plugin brings: read from its hooks, and checked; one that is broken is named with its place, never fatal."""

from __future__ import annotations

import builtins
import linecache
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import click
import msgspec
import pluggy

from stockifyd.api import API_VERSION, Component, Config, LoadSpec, Secret, Sink, Source, Transform, config_type, hooks
from stockifyd.api.options import secret_hook
from stockifyd.candidates import Broken, Candidate, Key, Role, check_api, source_of, where_raised

ROLES: Mapping[Role, type[Component[Any]]] = {"source": Source, "transform": Transform, "sink": Sink}
RESERVED_OPTIONS = frozenset({"type", "name", "required"})
"""Keys beside a component's options in a spec."""

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
class Found:
    """All that one plugin brings."""

    plugin: str
    entries: tuple[Entry, ...] = ()
    messages: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)
    commands: Mapping[str, click.Command] = field(default_factory=dict)
    where: str = ""


def read(candidate: Candidate, load_spec: LoadSpec) -> Found:
    check_api(candidate)
    plugin = None
    try:
        plugin = candidate.load()
        calls = _hook_calls(plugin)
        classes = [c for many in calls.stockifyd_components() for c in many]
        messages = {n: m for many in calls.stockifyd_messages() for n, m in dict(many).items()}
        commands = [c for many in calls.stockifyd_commands(load=load_spec) for c in many]
    except Broken:
        raise
    except pluggy.PluginValidationError as error:
        raise Broken(str(error), _place_named(plugin, str(error))) from error
    except (Exception, SystemExit) as error:  # a plugin may fail in any way: that is its problem, and named
        raise Broken(_reason(error), where_raised(error, source_of(candidate)) or _place(plugin)) from error
    _check_contents(plugin, messages, commands)
    entries = _entries(classes, candidate, _place_of_hook(plugin, "stockifyd_components"))
    return Found(candidate.name, entries, messages, {str(c.name): c for c in commands}, _place(plugin))


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


def _check_contents(plugin: Any, messages: Mapping[str, Any], commands: Sequence[Any]) -> None:
    for name, message in messages.items():
        if not (isinstance(message, type) and issubclass(message, msgspec.Struct)):
            raise Broken(f"message {name!r} is not a msgspec.Struct class", _place_of_hook(plugin, "stockifyd_messages"))
    for command in commands:
        if not isinstance(command, click.Command) or not command.name:
            reason = f"stockifyd_commands gives {command!r}, which is not a click command with a name"
            raise Broken(reason, _place_of_hook(plugin, "stockifyd_commands"))


def _entries(classes: Sequence[Any], candidate: Candidate, where: str) -> tuple[Entry, ...]:
    brings = tuple(key for c in classes for key in _key(c))
    try:
        entries = tuple(entry_of(c, candidate.name, candidate.version) for c in classes)
    except Broken as broken:
        raise Broken(broken.reason, broken.where or where, brings) from broken
    twice = [key for key in brings if brings.count(key) > 1]
    if twice:
        raise Broken(f"it brings {twice[0][0]} {twice[0][1]!r} twice", where, brings)
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
        msgspec.json.Decoder(config, dec_hook=secret_hook)  # looks at what the schema does not: a limit on what is no number
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
        raise Broken(f"there is a plugin {new.plugin!r} already", new.where, brings)
    for name, command in new.commands.items():
        if name in taken_commands:
            raise Broken(f"command {name!r} is one of stockifyd itself", _place(command.callback) or new.where, brings)
    for old in found.values():
        theirs = {(e.role, e.type) for e in old.entries}
        clashes: list[tuple[str, Any]] = [
            (f"{e.role} {e.type!r}", e.component) for e in new.entries if (e.role, e.type) in theirs
        ]
        clashes += [(f"message {n!r}", m) for n, m in new.messages.items() if n in old.messages]
        clashes += [(f"command {n!r}", c.callback) for n, c in new.commands.items() if n in old.commands]
        for what, thing in clashes:
            reason = f"{what} is there already, from plugin {old.plugin!r}"
            raise Broken(reason, _place(thing) or new.where, brings)


def schema_hook(wanted: type) -> dict[str, Any]:
    """How a JSON Schema describes types of ours."""
    if wanted is Secret:
        return {"type": "string", "format": "secret"}
    raise NotImplementedError(f"{wanted} has no JSON Schema")


def _reason(error: BaseException) -> str:
    reason = f"{type(error).__name__}: {error}"
    return f"{reason}; this stockifyd has plugin API {API_VERSION}" if "stockifyd.api" in reason else reason


def _place_of_hook(plugin: Any, hook: str) -> str:
    return _place(getattr(plugin, hook, plugin)) or _place(plugin)


def _place_named(plugin: Any, text: str) -> str:
    """Where a hook is written that a text names in quotes; else where the plugin begins."""
    named = [_place(getattr(plugin, name, None)) for name in re.findall(r"'(stockifyd_\w+)'", text)]
    return next(filter(None, named), "") or _place(plugin)


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
