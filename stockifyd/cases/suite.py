"""A test file, read: its cases, their messages and the spec they are for, or all that is wrong with it at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from stockifyd.api import Message
from stockifyd.cases.inputs import Misfit, messages_of
from stockifyd.cases.model import Case, CaseFile
from stockifyd.cases.outside import check_outside
from stockifyd.cases.rules import ExpectRules, check_names
from stockifyd.cases.schema import compose
from stockifyd.registry import Registry
from stockifyd.spec import Finding, Loaded, Spec, load
from stockifyd.spec.document import Document, read
from stockifyd.spec.explain import check_against
from stockifyd.spec.findings import quoted
from stockifyd.spec.loading import CASES_SUFFIX, SUFFIXES
from stockifyd.spec.locate import locate
from stockifyd.spec.nodes import MAX_BYTES

TIME_HINT = "a time is RFC 3339 with an offset, such as 2026-11-24T09:15:00+05:30"


@dataclass(frozen=True, slots=True)
class Suite:
    """What became of a test file. It can run if nothing was found; `spec` is there if the spec is well.

    `messages` are those of each case. `findings` are in this file or in the spec's.
    """

    path: str
    document: Document
    findings: tuple[Finding, ...] = ()
    spec: Spec | None = None
    file: CaseFile | None = None
    messages: tuple[tuple[Message, ...], ...] = ()

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases, if they can be read."""
        return tuple(self.file.cases) if self.file else ()

    @property
    def ok(self) -> bool:
        """Nothing is wrong with the files: the cases can run."""
        return not self.findings and self.spec is not None


def case_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files as they are; of a folder all `*.test.yaml` in it and below, by name."""
    found = list[Path]()
    for path in map(Path, paths):
        found += sorted(p for p in path.rglob("*") if _is_case_file(p, path)) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def load_suite(path: str | Path, registry: Registry) -> Suite:
    """Read a test file and the spec it is for. Never raises."""
    try:
        with Path(path).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        document = Document(str(path))
        document.report((), f"cannot be read: {(error.strerror or str(error)).lower()}")
        return Suite(str(path), document, tuple(document.findings))
    document = read(str(path), content, None, strict=True)
    if document.data is not None or not document.failed:
        check_against(compose(), document, Registry())
    file = _converted(document)
    if file is None:
        return Suite(str(path), document, _sorted(document))
    check_names(document, file.cases)
    messages = tuple(_messages(document, index, case) for index, case in enumerate(file.cases))
    loaded = _spec(document, file, registry)
    if loaded is not None and loaded.sketch is not None:
        for index, case in enumerate(file.cases):
            ExpectRules(document, loaded.sketch, len(messages[index])).check(case.expect, ("cases", index, "expect"))
    spec, theirs = (loaded.sketch, _errors(loaded)) if loaded else (None, ())
    if spec is not None and not theirs:
        check_outside(document, spec, file.cases)
    return Suite(str(path), document, (*_sorted(document), *theirs), spec, file, messages)


def _is_case_file(path: Path, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    return path.suffix in SUFFIXES and path.stem.endswith(CASES_SUFFIX) and not hidden and path.is_file()


def _sorted(document: Document) -> tuple[Finding, ...]:
    return tuple(sorted(document.findings, key=lambda finding: finding.mark))


def _converted(document: Document) -> CaseFile | None:
    if document.failed:
        return None
    try:
        return msgspec.convert(document.data, CaseFile)
    except msgspec.ValidationError as error:
        path, fact = locate(str(error), document.data, partial(msgspec.convert, type=CaseFile))
        document.report(path, fact, TIME_HINT if "datetime" in fact else "")
        return None


def _messages(document: Document, index: int, case: Case) -> tuple[Message, ...]:
    try:
        return messages_of(case, Path(document.file).parent)
    except Misfit as why:
        document.report(("cases", index, "messages", *why.path), why.fact, why.hint)
        return ()


def _spec(document: Document, file: CaseFile, registry: Registry) -> Loaded | None:
    """The spec, with the variables of the test file alone: what a test says depends on no process."""
    path = _spec_path(document, file.pipeline)
    if path is None:
        return None
    loaded = load(path, registry, strict=False, environ=file.environment)
    if errors := _errors(loaded):
        fact = f"{str(path)!r} has {len(errors)} error{'' if len(errors) == 1 else 's'}"
        document.report(("pipeline",), fact, f"see below, or `stockifyd validate {path}`")
    elif loaded.sketch is None:
        unset = "; ".join(finding.fact for finding in loaded.findings)
        document.report(("pipeline",), f"{str(path)!r} cannot be read: {unset}", "name its variables in `environment:`")
    return loaded


def _spec_path(document: Document, named: str) -> Path | None:
    folder = Path(document.file).parent
    if "/" in named or named.endswith(SUFFIXES):
        places = [folder / named]
    else:
        places = [above / f"{named}{suffix}" for above in (folder, _above(folder)) for suffix in SUFFIXES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(str(place) for place in places)
        document.report(("pipeline",), f"there is no spec {quoted(named)}", f"looked for {looked}")
    return found


def _above(folder: Path) -> Path:
    return Path(os.path.normpath(folder / ".."))


def _errors(loaded: Loaded) -> tuple[Finding, ...]:
    """The errors of a spec. In a transform a value that nobody knows is one too: the cases would test something else."""
    errors = (finding for finding in loaded.findings if finding.severity == "error")
    unset = (finding for finding in loaded.findings if finding.severity != "error" and finding.path.startswith("transforms["))
    told = (replace(finding, severity="error", hint="name it in `environment:` of the test file") for finding in unset)
    return tuple(sorted([*errors, *told], key=lambda finding: finding.mark))
