"""The read-only table from (role, type) to component class, and what is wrong with plugins that did not make it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import msgspec

from stockifyd.api import Component, Components, LoadSpec, StockifydError
from stockifyd.candidates import Broken, Candidate, Role, from_file, installed
from stockifyd.discovery import Entry, Found, Problem, check_clashes, entry_of, read

__all__ = ["Entry", "Problem", "Registry", "Role"]


class Registry:
    """What plugins bring. Made once, by `load`; nothing can be added later."""

    def __init__(self, found: Iterable[Found] = (), problems: Iterable[Problem] = ()) -> None:
        found = tuple(found)
        self.entries: tuple[Entry, ...] = tuple(sorted((e for f in found for e in f.entries), key=lambda e: (e.role, e.type)))
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.messages: Mapping[str, type[msgspec.Struct]] = MappingProxyType({n: m for f in found for n, m in f.messages.items()})
        self.commands: Mapping[str, click.Command] = MappingProxyType({n: c for f in found for n, c in f.commands.items()})
        self._table = {(e.role, e.type): e for e in self.entries}

    @classmethod
    def load(
        cls,
        plugin_files: Sequence[str | Path] = (),
        *,
        load_spec: LoadSpec | None = None,
        taken_commands: Collection[str] = (),
        built_in: bool = False,
    ) -> Registry:
        """All plugins that are installed (`built_in`: ours alone), then the files, in this order.

        `load_spec` is what commands of plugins get; they may not have a name in `taken_commands`.
        """
        candidates = [*installed(built_in=built_in), *(from_file(Path(path)) for path in plugin_files)]
        return cls._collect(candidates, load_spec or _no_specs_here, taken_commands)

    @classmethod
    def of(
        cls, *components: type[Component[Any]], plugin: str = "given", version: str = "", problems: Iterable[Problem] = ()
    ) -> Registry:
        """A registry of these classes; TypeError if one is wrong. For tests and programs that need no plugins."""
        try:
            return cls([Found(plugin, tuple(entry_of(c, plugin, version) for c in components))], problems)
        except Broken as broken:
            raise TypeError(broken.reason) from broken

    @classmethod
    def _collect(cls, candidates: Iterable[Candidate], load_spec: LoadSpec, taken_commands: Collection[str]) -> Registry:
        found, problems = dict[str, Found](), list[Problem]()
        for candidate in candidates:
            try:
                one = read(candidate, load_spec)
                check_clashes(one, found, taken_commands)
                found[candidate.name] = one
            except Broken as broken:
                problems.append(Problem(candidate.name, broken.reason, broken.where, candidate.version, broken.brings))
        return cls(found.values(), problems)

    def get(self, role: Role, type: str) -> Entry | None:  # noqa: A002  the word users write
        """The entry of a component type, if there is one."""
        return self._table.get((role, type))

    def types(self, role: Role) -> tuple[str, ...]:
        """The component types of a role."""
        return tuple(entry.type for entry in self.entries if entry.role == role)

    def why_missing(self, role: Role, type: str) -> str:  # noqa: A002
        """The reason why a type is not there, if a broken plugin explains it; else an empty string."""
        brought = [p for p in self.problems if (role, type) in p.brings and self.get(role, type) is None]
        named = [p for p in self.problems if p.plugin == type]
        return str([*brought, *named][0]) if brought or named else ""


def _no_specs_here(path: str) -> Components:
    raise StockifydError(f"{path}: specs cannot be loaded here", hint="call this command through `stockifyd`")
