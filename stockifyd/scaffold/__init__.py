"""Makes the project of a new plugin: complete, typed, with tests that pass, out of the templates beside this file."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterator
from pathlib import Path

from stockifyd import __version__, api
from stockifyd.api import StockifydError

ROLES = ("sink", "source", "transform")
LENGTH_MAX = 40

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_IMPORTED = frozenset({*api.__all__, "Annotated", "Any", "Case", "Iterator", "Meta", "Path", "Quote", "Sequence"})
"""Names that the code of a template has already."""


def create(role: str, name: str, parent: Path) -> Path:
    """Write a plugin's project into `parent`, and answer with its folder; StockifydError where that cannot be."""
    check_name(name)
    folder = parent / f"stockifyd-{name.replace('_', '-')}"
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise StockifydError(f"{folder} is there already", hint="take another name, or move it away") from error
    except OSError as error:
        raise StockifydError(f"{folder}: {error.strerror}", hint="--into names a folder that is there") from error
    for path, text in _rendered(role, name):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


def check_name(name: str) -> None:
    """Refuse what cannot be a type, a module and a class."""
    hint = "take a word of lower case letters, digits and underscores that begins with a letter, such as quotes"
    if not _NAME.fullmatch(name) or len(name) > LENGTH_MAX:
        raise StockifydError(f"{name!r} is no name for a plugin", hint=f"{hint}; {LENGTH_MAX} characters at most")
    if class_name(name) in _IMPORTED or keyword.iskeyword(class_name(name)):
        raise StockifydError(f"{name!r} is no name for a plugin: its class would be {class_name(name)}", hint=hint)
    if importlib.util.find_spec(f"stockifyd_{name}"):
        raise StockifydError(f"there is a module stockifyd_{name} already", hint="take another name")


def class_name(name: str) -> str:
    """`my_quotes`: MyQuotes."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _rendered(role: str, name: str) -> Iterator[tuple[str, str]]:
    """Path and text of each file: the word `acme` of the templates becomes the name."""
    words = {
        "stockifyd-acme": f"stockifyd-{name.replace('_', '-')}",
        "acme": name,
        "Acme": class_name(name),
        "ROLE": role,
        "stockifyd>=0.1": f"stockifyd>={__version__}",
    }
    for place in ("common", role):
        root = Path(__file__).parent / "templates" / place
        for path in sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            yield _named(str(path.relative_to(root)), words), _named(path.read_text("utf-8"), words)


def _named(text: str, words: dict[str, str]) -> str:
    return re.sub("|".join(map(re.escape, words)), lambda found: words[found[0]], text)
