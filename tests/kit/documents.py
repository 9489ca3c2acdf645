"""The project's Markdown: fenced blocks, links, headings, tables; and what the code is searched for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "plugins", "examples", "tests", "bench", "systemd")
FENCE = re.compile(r"^(`{3,})([^`\n]*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is all that stands behind the fence."""

    path: Path
    line: int
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """Commands, one a line, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


@cache
def documents() -> tuple[Path, ...]:
    """Every Markdown file of the project."""
    places = [ROOT / place for place in OURS]
    found = [path for place in places for path in (place.rglob("*.md") if place.is_dir() else [place])]
    return tuple(sorted(path for path in found if path.is_file() and not {".venv", "node_modules"}.intersection(path.parts)))


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every document."""
    return tuple(block for path in documents() for block in _blocks(path))


def marked(mark: str) -> list[Block]:
    """Blocks of exactly this mark, in the documents whose commands are promised to work."""
    promised = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs")
    return [b for b in blocks() if b.mark == mark and any(b.path.is_relative_to(place) for place in promised)]


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", path.read_text("utf-8"))


def links(path: Path) -> list[str]:
    return LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(name: str, heading: str) -> str:
    """What stands under a heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text_of(name), re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"{name} has no section {heading!r}")
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of the first table, row by row, without its head."""
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in text.splitlines() if line.lstrip().startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def words(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


@cache
def modules() -> tuple[ast.Module, ...]:
    """The code of the program and of its plugins, parsed."""
    paths = [path for place in ("stockifyd", "plugins") for path in (ROOT / place).rglob("*.py")]
    return tuple(ast.parse(path.read_text("utf-8"), str(path)) for path in paths)


def variables_read() -> set[str]:
    """The environment variables that the code reads, and those that our pipelines name."""
    found = {name for module in modules() for node in ast.walk(module) for name in _read_by(node)}
    specs = "\n".join(path.read_text("utf-8") for path in (ROOT / "pipelines").glob("*.yaml"))
    return found | set(re.findall(r"\$\{([A-Z_]+)", specs))


def exit_codes() -> set[int]:
    """Every constant EX_..."""
    found: set[int] = set()
    for module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Assign) and "EX_" in ast.unparse(node.targets[0]):
                found.update(c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant) and isinstance(c.value, int))
    return found


def _blocks(path: Path) -> Iterator[Block]:
    text = path.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Block(path, text.count("\n", 0, found.start()) + 1, found[2].strip(), found[3])


def _read_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[ast.Constant(value=str(name)), *_]):
            if ast.unparse(owner).rpartition(".")[2] in ("environ", "environment"):
                yield name
        case ast.Subscript(value=owner, slice=ast.Constant(value=str(name))) if ast.unparse(owner) == "os.environ":
            yield name
        case ast.keyword(arg="envvar", value=ast.Constant(value=str(name))):
            yield name
