"""`${NAME}`, `${NAME:-default}`, `${file:path}` and `${credential:name}` in one scalar; `$$` is a dollar."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stockifyd.spec.findings import quoted

MAX_FILE_BYTES = 2**16
OF_FOLDER = "stockifyd_"
"""What our unit puts before the names of all files in a folder of credentials: systemd wants something there."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where values come from: the environment, and the folder that relative paths start in."""

    environ: Mapping[str, str]
    folder: Path = Path()


@dataclass(slots=True)
class Interpolated:
    """What became of a text. `missing`: what is not there at this moment; `wrong`: what can never be."""

    text: str
    used: bool = False
    missing: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)


class _Missing(Exception):
    """Nothing stands behind a placeholder: fact and hint."""


def interpolate(raw: str, around: Surroundings) -> Interpolated:
    """Put values in place of placeholders. What a value holds is never looked at again."""
    done, parts, at = Interpolated(raw), list[str](), 0
    while (dollar := raw.find("$", at)) >= 0:
        parts.append(raw[at:dollar])
        follows = raw[dollar + 1 : dollar + 2]
        if follows != "{":
            parts.append("$")
            at = dollar + (2 if follows == "$" else 1)
            continue
        end = raw.find("}", dollar)
        if end < 0:
            done.wrong.append((f"{quoted(raw[dollar:])} is not closed", "close it with }, or write $$ for a dollar"))
            return done
        parts.append(_value(raw[dollar : end + 1], around, done))
        done.used, at = True, end + 1
    done.text = "".join((*parts, raw[at:]))
    return done


def _value(placeholder: str, around: Surroundings, done: Interpolated) -> str:
    body = placeholder[2:-1]
    try:
        if body.startswith("file:"):
            return _content((around.folder / body[5:],), placeholder, "a relative path starts at the folder of the spec")
        if body.startswith("credential:"):
            return _credential(body[11:], placeholder, around)
        return _variable(placeholder, around)
    except _Missing as missing:
        done.missing.append((str(missing.args[0]), str(missing.args[1])))
    except ValueError as error:
        done.wrong.append((str(error), "write ${NAME}, ${NAME:-default}, ${file:path} or ${credential:name}; $$ is a dollar"))
    return placeholder


def _variable(placeholder: str, around: Surroundings) -> str:
    name, colon, default = placeholder[2:-1].partition(":-")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{quoted(placeholder)} is not a variable")
    if "${" in default:
        raise ValueError(f"{quoted(placeholder)} has a variable inside a variable")
    value = around.environ.get(name)
    if value or (value is not None and not colon):
        return value
    if colon:
        return default
    raise _Missing(f"variable {name} is not set", f"set {name}, or write ${{{name}:-default}}")


def _credential(name: str, placeholder: str, around: Surroundings) -> str:
    if not name or "/" in name or name in (".", ".."):
        raise ValueError(f"{quoted(placeholder)} is not the name of a credential")
    given = around.environ.get("CREDENTIALS_DIRECTORY")
    if not given:
        raise _Missing(f"{quoted(placeholder)}: CREDENTIALS_DIRECTORY is not set", f"give the unit LoadCredential={name}:PATH")
    hint = f"put a file {name} into /etc/stockifyd/credentials, or give the unit LoadCredential={name}:PATH; then restart it"
    return _content((Path(given, name), Path(given, OF_FOLDER + name)), placeholder, hint)


def _content(paths: Sequence[Path], placeholder: str, hint: str) -> str:
    """Of the first file that is there; `hint`: what to do where none is."""
    try:
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise _Missing(f"{quoted(placeholder)}: there is no such file", hint)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _Missing(f"{quoted(placeholder)}: {error.strerror or 'cannot be read'}", "let the daemon's user read it") from error
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{quoted(placeholder)}: the file is bigger than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ValueError(f"{quoted(placeholder)}: the file is not UTF-8 text") from error
