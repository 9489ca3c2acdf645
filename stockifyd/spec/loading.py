"""A spec from a file: everything that is wrong with it at once, and the description if nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stockifyd.registry import Registry
from stockifyd.spec.document import Document, read
from stockifyd.spec.explain import check_shape
from stockifyd.spec.findings import Finding, Mark, quoted
from stockifyd.spec.guarantee import of_sink
from stockifyd.spec.model import Guarantee, Spec
from stockifyd.spec.nodes import MAX_BYTES
from stockifyd.spec.parts import Parts, read_parts
from stockifyd.spec.rules import check_rules, pipeline_guarantee

SUFFIXES = (".yaml", ".yml")
CASES_SUFFIX = ".test"
"""What a test file's name has before its suffix: `storage.test.yaml` is no spec."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What one sink gives; nothing where it is not required: what it cannot take is dropped."""

    sink: str
    guarantee: Guarantee | None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a file. `spec` is there if no error was found and every value is known.

    `sketch` is there also where placeholders have nothing behind them: to look at and to test, never to run.
    `guarantee` and `promises` are there as soon as the types of source and sinks are.
    """

    path: str
    spec: Spec | None
    findings: tuple[Finding, ...]
    pipeline: str = ""
    guarantee: Guarantee | None = None
    promises: tuple[Promise, ...] = ()
    sketch: Spec | None = None

    @property
    def ok(self) -> bool:
        """No error; warnings may be there."""
        return all(f.severity != "error" for f in self.findings)


def load(path: str | Path, registry: Registry, *, strict: bool = True, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Read and check a spec. `strict`: an unset variable is an error (to run), else a warning (to validate). Never raises."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return Loaded(str(path), None, (Finding(str(path), Mark(), "", f"cannot be read: {reason.lower()}"),))
    return loads(content, registry, file=str(path), strict=strict, environ=environ)


def loads(
    content: bytes, registry: Registry, *, file: str = "<spec>", strict: bool = True, environ: Mapping[str, str] = os.environ
) -> Loaded:
    """Check a spec's bytes, as `load` does."""
    document = read(file, content, environ, strict=strict)
    if document.data is not None or not document.failed:
        check_shape(document, registry)
    parts = read_parts(document, registry)
    check_rules(document, parts)
    findings = tuple(sorted(document.findings, key=lambda f: f.mark))
    name, sketch = document.value(("name",)), _sketch(document, parts, file, content=content)
    return Loaded(
        path=file,
        spec=None if document.missing_below(()) else sketch,
        findings=findings,
        pipeline=name if isinstance(name, str) else "",
        guarantee=pipeline_guarantee(parts),
        promises=_promises(parts),
        sketch=sketch,
    )


def load_all(
    paths: Iterable[str | Path], registry: Registry, *, strict: bool = True, environ: Mapping[str, str] = os.environ
) -> list[Loaded]:
    """Load files and folders; two pipelines of one name are an error of the second."""
    seen: dict[str, str] = {}
    done = []
    for path in spec_files(paths):
        one = load(path, registry, strict=strict, environ=environ)
        if one.pipeline and one.pipeline in seen:
            fact = f"pipeline {quoted(one.pipeline)} is in {seen[one.pipeline]} already"
            clash = Finding(one.path, Mark(), "name", fact, "give it a name of its own")
            one = replace(one, spec=None, sketch=None, findings=(*one.findings, clash))
        seen.setdefault(one.pipeline, one.path)
        done.append(one)
    return done


def spec_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files as they are; of a folder its YAML files that are no test files, by name."""
    found = list[Path]()
    for path in map(Path, paths):
        found += sorted(p for p in path.iterdir() if _is_spec(p)) if path.is_dir() else [path]
    return found


def _is_spec(path: Path) -> bool:
    return path.suffix in SUFFIXES and not path.stem.endswith(CASES_SUFFIX) and path.is_file()


def _promises(parts: Parts) -> tuple[Promise, ...]:
    if parts.source is None:
        return ()
    source = parts.source.entry.component
    return tuple(Promise(s.name, of_sink(source, s.entry.component) if s.required else None, s.required) for s in parts.sinks)


def _sketch(document: Document, parts: Parts, file: str, *, content: bytes) -> Spec | None:
    guarantee = pipeline_guarantee(parts)
    source = parts.source.spec() if parts.source else None
    unknown = document.failed or any(part.config is None for part in parts.all())
    if unknown or source is None or parts.delivery is None or guarantee is None:
        return None
    made = {part.path: part.spec() for part in parts.all()}
    return Spec(
        name=document.value(("name",)),
        source=source,
        transforms=tuple(s for p in parts.transforms if (s := made[p.path])),
        sinks=tuple(s for p in parts.sinks if (s := made[p.path])),
        delivery=parts.delivery,
        guarantee=guarantee,
        dead_letters=made[parts.dead_letters.path] if parts.dead_letters else None,
        path=file,
        content=content,
    )
