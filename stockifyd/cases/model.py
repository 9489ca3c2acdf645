"""What a test file may say: messages that go in, and what is expected of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

Time = Annotated[datetime, Meta(tz=True)]
Tolerance = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message, or a file of them: one of `json`, `text`, `base64`, `file` and `lines`."""

    json: Annotated[Any, Meta(description="The message as a value, in YAML or JSON; it is sent as JSON.")] = UNSET
    text: Annotated[str | None, Meta(description="The message as text, sent as it is, in UTF-8.")] = None
    base64: Annotated[str | None, Meta(description="The message as bytes, in base64.")] = None
    file: Annotated[str | None, Meta(description="A file that is the message; its path starts at the test file.")] = None
    lines: Annotated[
        str | None,
        Meta(description="A file of JSON lines with `key`, `timestamp_ms` and `value`, as `stockifyd simulate` writes them."),
    ] = None
    key: Annotated[str | None, Meta(description="The message's key.")] = None
    timestamp: Annotated[Time | None, Meta(description="The message's time, RFC 3339 with an offset.")] = None
    headers: Annotated[dict[str, str], Meta(description="The message's headers.")] = {}


BODIES = ("json", "text", "base64", "file", "lines")


class _Several(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How several things are compared."""

    count: Annotated[Count | None, Meta(description="How many there are.")] = None
    match: Annotated[
        Literal["partial", "exact"],
        Meta(description="partial: only what is named is compared. exact: nothing else may be there."),
    ] = "partial"
    order: Annotated[Literal["given", "any"], Meta(description="Whether the order matters.")] = "given"
    tolerance: Annotated[
        Tolerance | None,
        Meta(description="Numbers may differ by this, times the expected one where that is above 1; default: the file's."),
    ] = None


class Rows(_Several, frozen=True, kw_only=True):
    """The rows of a table."""

    rows: Annotated[list[dict[str, Any]] | None, Meta(description="These rows, no more and no less.")] = None
    include: Annotated[list[dict[str, Any]], Meta(description="Rows that are there among others, in any order.")] = []


class Values(_Several, frozen=True, kw_only=True):
    """The values of messages."""

    values: Annotated[list[Any] | None, Meta(description="These values, one a message, no more and no less.")] = None
    include: Annotated[list[Any], Meta(description="Values that are there among others, in any order.")] = []


class Letter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dead letter; what is not named is not compared."""

    message: Annotated[Count | None, Meta(description="Which of the case's messages, from 0.")] = None
    stage: Annotated[str | None, Meta(description="The name of the component that rejects it.")] = None
    reason: Annotated[str | None, Meta(description="The whole reason.")] = None
    reason_has: Annotated[str | None, Meta(description="A part of the reason.")] = None
    code: Annotated[str | None, Meta(description="The far side's own code.")] = None


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tables and messages at some place of a pipeline."""

    tables: Annotated[dict[str, Rows], Meta(description="Tables by name; others may be there.")] = {}
    messages: Annotated[Values | None, Meta(description="The values of the messages that were not rejected.")] = None


class Stage(Kept, frozen=True, kw_only=True):
    """What there is behind a transform."""

    dead_letters: Annotated[list[Letter] | None, Meta(description="The dead letters so far, in any order.")] = None


class Failing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error that ends the work on a batch; what is not named is not compared."""

    stage: Annotated[str | None, Meta(description="The name of the component that raises it.")] = None
    type: Annotated[str | None, Meta(description="Its class: Drift, Unavailable, Retry, Fenced, or a bug's own.")] = None
    reason: Annotated[str | None, Meta(description="The whole reason.")] = None
    reason_has: Annotated[str | None, Meta(description="A part of the reason.")] = None


class Expect(Kept, frozen=True, kw_only=True):
    """What a case expects, behind the last transform and before it. A dead letter or an error that is not named fails it."""

    dead_letters: Annotated[list[Letter], Meta(description="All dead letters, in any order.")] = []
    after: Annotated[dict[str, Stage], Meta(description="What there is behind transforms, by name.")] = {}
    sinks: Annotated[dict[str, Kept], Meta(description="What sinks get, by name: the tables and columns that they want.")] = {}
    error: Annotated[Failing | None, Meta(description="The error that a transform raises.")] = None


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages, in one batch, and what comes of them."""

    name: Annotated[Name, Meta(description="What holds, in a sentence.")]
    messages: Annotated[list[Input], Meta(min_length=1, description="What goes in, in place of the source.")]
    expect: Annotated[Expect, Meta(description="What is expected.")]
    clock: Annotated[Time | None, Meta(description="What time it is for components; default: the file's.")] = None
    outside: Annotated[
        dict[str, list[dict[str, Any]]],
        Meta(description="The rows that transforms find outside, in a database say, by the transform's name; `[]`: none."),
    ] = {}


class CaseFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cases for one pipeline."""

    version: Annotated[Literal[1], Meta(description="The version of this format: 1.")]
    pipeline: Annotated[
        Name, Meta(description="The spec: its path, from this file on, or its name, beside this file or in the folder above.")
    ]
    cases: Annotated[list[Case], Meta(min_length=1, description="Each runs by itself.")]
    clock: Annotated[Time | None, Meta(description="What time it is for components; default: the time it is.")] = None
    environment: Annotated[
        dict[str, str], Meta(description="The variables that the spec names. Those of the process are not there.")
    ] = {}
    tolerance: Annotated[
        Tolerance, Meta(description="Numbers may differ by this, times the expected one where that is above 1.")
    ] = 0.0
