"""The components of a document: their classes, their names and, where nothing is wrong, their typed options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

import msgspec

from stockifyd.api import Config, StockifydError, configure
from stockifyd.candidates import Role
from stockifyd.discovery import RESERVED_OPTIONS, Entry
from stockifyd.registry import Registry
from stockifyd.spec.document import Document
from stockifyd.spec.explain import component_at
from stockifyd.spec.findings import Path, dotted
from stockifyd.spec.locate import locate
from stockifyd.spec.model import ComponentSpec, Delivery

DEAD_LETTERS: Path = ("delivery", "dead_letters", "sink")


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a document, as far as it is known."""

    role: Role
    path: Path
    entry: Entry
    name: str
    config: Config | None
    required: bool = True

    def spec(self) -> ComponentSpec | None:
        """Its description; None while its options are not known."""
        if self.config is None:
            return None
        return ComponentSpec(self.role, self.entry.type, self.name, self.entry.component, self.config, self.required)


@dataclass(frozen=True, slots=True)
class Parts:
    """All components whose type is known, and how batches are delivered."""

    source: Part | None
    transforms: tuple[Part, ...]
    sinks: tuple[Part, ...]
    dead_letters: Part | None
    delivery: Delivery | None

    def all(self) -> tuple[Part, ...]:
        """In the order in which messages meet them."""
        return tuple(p for p in (self.source, *self.transforms, *self.sinks, self.dead_letters) if p is not None)


def read_parts(document: Document, registry: Registry) -> Parts:
    """The components of a document whose shape was checked; what their own options refuse is noted."""
    return Parts(
        source=_part(document, registry, path=("source",)),
        transforms=_listed(document, registry, path=("transforms",)),
        sinks=_listed(document, registry, path=("sinks",)),
        dead_letters=_part(document, registry, path=DEAD_LETTERS),
        delivery=_delivery(document),
    )


def _listed(document: Document, registry: Registry, *, path: Path) -> tuple[Part, ...]:
    values = document.value(path)
    each = range(len(values)) if isinstance(values, list) else ()
    return tuple(part for i in each if (part := _part(document, registry, path=(*path, i))))


def _part(document: Document, registry: Registry, *, path: Path) -> Part | None:
    value = document.value(path)
    word = value.get("type") if isinstance(value, dict) else None
    owner = component_at(path)
    entry = registry.get(owner[1], word) if owner and isinstance(word, str) else None
    if entry is None:
        return None
    name, required = value.get("name"), value.get("required", True)
    default = "dead_letters" if path == DEAD_LETTERS else entry.type
    refused = _refused(document, path)
    # A key that nobody knows hides nothing: the author's own checks still speak of the others.
    config = None if refused & {"", *entry.config.__struct_encode_fields__} else _config(document, path, entry)
    called = name if isinstance(name, str) else default
    return Part(entry.role, path, entry, called, None if refused else config, required is not False)


def _refused(document: Document, path: Path) -> set[str]:
    """The options of this component in whose shape something was refused already; "" for the component itself."""
    at = dotted(path)
    errors = (f.path.removeprefix(at) for f in document.findings if f.severity == "error" and f.path.startswith(at))
    return {re.split(r"[.\[]", rest[1:], maxsplit=1)[0] for rest in errors if not rest or rest[0] in ".["}


def _config(document: Document, path: Path, entry: Entry) -> Config | None:
    known = entry.config.__struct_encode_fields__
    options = {key: value for key, value in document.value(path).items() if key in known and key not in RESERVED_OPTIONS}
    configured = partial(configure, entry.component)
    try:
        return configured(options)
    except msgspec.ValidationError as error:
        if not document.missing_below(path):
            at, fact = locate(str(error), options, configured)
            document.report((*path, *at), document.scrub(fact))
    except Exception as error:  # noqa: BLE001  `__post_init__` is the author's code
        if not document.missing_below(path):
            document.report(path, f"{entry.type!r} fails on these options: {document.scrub(bug(error))}", report_it(entry))
    return None


def _delivery(document: Document) -> Delivery | None:
    value = document.value(("delivery",))
    if any(f.severity == "error" and f.path.startswith("delivery") for f in document.findings):
        return None
    options = {k: v for k, v in value.items() if k != "dead_letters"} if isinstance(value, dict) else {}
    try:
        return msgspec.convert(options, Delivery)
    except msgspec.ValidationError as error:
        if not document.missing_below(("delivery",)):
            at, fact = locate(str(error), options, partial(msgspec.convert, type=Delivery))
            document.report(("delivery", *at), document.scrub(fact))
    return None


def bug(error: Exception) -> str:
    """An error that nobody foresaw, in one line."""
    return error.reason if isinstance(error, StockifydError) else f"{type(error).__name__}: {error}"


def report_it(entry: Entry) -> str:
    """The cure for a bug in a plugin."""
    return f"this is a bug in plugin {entry.plugin!r}{f' ({entry.version})' if entry.version else ''}: report it to its author"
