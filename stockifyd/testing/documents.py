"""Whether a sample and a README say what the options' declaration says: it is the one place where an option is described."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from stockifyd.api import Component, Secret, Source, Transform, config_type, configure

BESIDE = ("type", "name", "required")
"""What a spec may say of a component beside its options."""

_COMMENTED = re.compile(r"^( *(?:- )?)# ?(\w+)(: +\S.*)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\$\{[^}]*?(?::-([^}]*))?\}")
_NOTHING: tuple[Any, ...] = (None, "", (), [], {})


def check_sample(component: type[Component[Any]], path: Path) -> None:
    """A sample shows every option: in use, or commented out with its default (or, where that is nothing, with an example).

    It may show the component more than once, where no one use shows all.
    """
    faults = list(_sample_faults(component, path.read_text("utf-8")))
    assert not faults, "\n".join(f"{path.name}: {fault}" for fault in faults)


def check_readme(component: type[Component[Any]], path: Path) -> None:
    """A README has a table `| option | default | ... |` with a row for each option, and its default.

    A default stands in backticks; `required` where there is none; words where the declared default is nothing. Of a README
    of several components the table under the heading `TYPE` or `ROLE TYPE` counts. One without a table names the sample,
    `TYPE.sample.yaml`, which shows every option.
    """
    text = path.read_text("utf-8")
    rows = _option_rows(text, (f"{_role(component)} {component.type}", component.type))
    if not rows and f"{component.type}.sample.yaml" in text:
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(config_type(component))}
    faults = [f"option {name!r} has no row" for name in fields.keys() - rows.keys()]
    faults += [f"there is no option {name!r}" for name in rows.keys() - fields.keys()]
    for name in fields.keys() & rows.keys():
        declared = _default(fields[name])
        if rows[name] != declared and (declared is not None or rows[name].startswith("`") or rows[name] == "required"):
            faults.append(f"the default of {name!r} is {declared or 'nothing'}, and not {rows[name]}")
    assert not faults, "\n".join(f"{path.name}: {fault}" for fault in sorted(faults))


def _sample_faults(component: type[Component[Any]], text: str) -> Iterator[str]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(config_type(component))}
    shown, bare = _uses(component, text), _uses(component, _uncommented(text, _words(config_type(component))))
    if not shown:
        yield f"it has no {component.type!r}"
        return
    try:
        for options in (*shown, *bare):
            configure(component, options)
    except msgspec.ValidationError as error:
        yield f"{error}"
        return
    yield from (f"option {name!r} is missing" for name in fields.keys() - set().union(*bare))
    for used, told in zip(shown, bare, strict=True):
        for name in told.keys() - used.keys():
            default = _plain(fields[name])
            if default not in _NOTHING and msgspec.to_builtins(told[name]) != default:
                yield f"{name} is commented out with {told[name]!r}, and its default is {default!r}"


def _uses(component: type[Component[Any]], text: str) -> Sequence[Mapping[str, Any]]:
    """The options of each component of this type, as a spec has them."""
    spec = yaml.safe_load(_PLACEHOLDER.sub(lambda found: found[1] or "placeholder", text))
    role = _role(component)
    listed = [spec[role]] if role == "source" and role in spec else spec.get(f"{role}s", ())
    return [
        {key: value for key, value in one.items() if key not in BESIDE} for one in listed if one.get("type") == component.type
    ]


def _role(component: type[Component[Any]]) -> str:
    return "source" if issubclass(component, Source) else "transform" if issubclass(component, Transform) else "sink"


def _uncommented(text: str, known: set[str]) -> str:
    return _COMMENTED.sub(lambda found: f"{found[1]}{found[2]}{found[3]}" if found[2] in known else found[0], text)


def _words(kind: type[msgspec.Struct]) -> set[str]:
    """The names of options, those inside options too."""
    schemas = msgspec.json.schema_components([kind], schema_hook=lambda _: {"type": "string"})[1]
    return {name for schema in schemas.values() for name in schema.get("properties", {})}


def _option_rows(text: str, headings: Sequence[str]) -> dict[str, str]:
    """Name and default of each row of the table of options: under the first heading that is there, else of the whole text."""
    sections = {
        heading.strip().lower(): body for heading, body in re.findall(r"^##+ (.+)\n((?:(?!^##).*\n?)*)", text, re.MULTILINE)
    }
    body = next((sections[heading] for heading in headings if heading in sections), text)
    table = re.search(r"^\| *option *\| *default *\|.*\n\|[-| :]+\n((?:\|.*\n?)*)", body, re.MULTILINE)
    cells = ([cell.strip() for cell in row.strip("|").split("|")] for row in (table[1] if table else "").splitlines())
    return {name: default for names, default, *_ in cells for name in re.findall(r"`(\w+)`", names)}


def _default(field: msgspec.structs.FieldInfo) -> str | None:
    """A default as a README has it: None where it is nothing, or no plain value."""
    if field.required:
        return "required"
    default = _plain(field)
    return None if default in _NOTHING else f"`{default if isinstance(default, str) else msgspec.json.encode(default).decode()}`"


def _plain(field: msgspec.structs.FieldInfo) -> Any:
    """A default as plain values."""
    made = field.default if field.default is not msgspec.NODEFAULT else None
    if field.default_factory is not msgspec.NODEFAULT:
        made = field.default_factory()
    return None if isinstance(made, Secret) else msgspec.to_builtins(made)
