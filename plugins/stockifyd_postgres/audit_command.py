"""The command `audit`; what it does is imported when it does it: every start imports this module."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from stockifyd.api import Calendar, Drift, Secret, Session, Unknown

if TYPE_CHECKING:
    from stockifyd_postgres.address import Address
    from stockifyd_postgres.audit import Audit

EX_GAPS = 3
EX_UNKNOWN = 4
ELSEWHERE = ("nothing_stored", "others_stored")
NOT_HERE = "no database knows: see the log of what polls, and the topic of dead letters"


@click.command("audit")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY")
@click.option(
    "--every-secs", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="How often a chain is expected."
)
@click.option(
    "--symbol", "symbols", multiple=True, help="Of this symbol alone; again for more. Default: the active `instruments`."
)
@click.option(
    "--calendar",
    "path",
    metavar="NAME|FILE",
    default="nse",
    show_default=True,
    help="The calendar: the name of one that ships, or a file.",
)
@click.option("--database", default="primary", show_default=True, help="`primary` or `replica` of the environment, or a URL.")
@click.option("--schema", default="public", show_default=True, help="Where the tables are, such as a replay's.")
@click.option(
    "--consumer", default="storage-group", show_default=True, help="Who stores them: whose dead letters and offsets count."
)
@click.option(
    "--deep", is_flag=True, help="Also whether every chain has its options, and every option its chain. Reads all of the day."
)
@click.option("--json", "as_json", is_flag=True, help="For a script: one JSON document.")
def audit_command(day: datetime, *, path: str, database: str, as_json: bool, every_secs: float, **wanted: Any) -> None:
    """Was every chain of a day stored? By the calendar, per symbol and expiry; each gap with its reason.

    Ends with 0 where nothing is missing, 3 where something is, 4 where the calendar does not know the day.
    """
    import asyncio  # noqa: PLC0415  see above
    import json  # noqa: PLC0415

    from stockifyd_postgres.audit import judge  # noqa: PLC0415
    from stockifyd_postgres.audit_reading import Request, read  # noqa: PLC0415

    every = timedelta(seconds=every_secs)
    request = Request(_calendar(path), day.date(), every, datetime.now(UTC), **wanted)
    if request.until < request.bounds[0]:
        raise click.UsageError(f"{day:%Y-%m-%d} has not begun")
    stored, symbols = asyncio.run(read(_addresses(database), request))
    audit = judge(request.calendar, request.day, stored, symbols=symbols, every=every)
    click.echo(json.dumps(plain(audit)) if as_json else "\n".join(lines(audit)))
    if audit.is_unknown:
        raise SystemExit(EX_UNKNOWN)
    if not audit.is_clean:
        raise SystemExit(EX_GAPS)


def plain(audit: Audit) -> dict[str, Any]:
    """As JSON has it; times with their zone."""
    session = audit.session
    state = "unknown" if isinstance(session, Unknown) else "closed" if session is None else "open"
    return {
        "day": audit.day.isoformat(),
        "calendar": audit.calendar,
        "session": state,
        "reason": session.reason if isinstance(session, Unknown) else audit.closed,
        "hours": [[at.isoformat() for at in pair] for pair in session.hours] if isinstance(session, Session) else [],
        "until": audit.stored.until.isoformat(),
        "every_secs": audit.every.total_seconds(),
        "clean": audit.is_clean and not audit.is_unknown,
        "series": [
            {
                "symbol": line.series.symbol,
                "expiry": line.series.expiry.isoformat() if line.series.expiry else None,
                "expected": line.expected,
                "there": line.there,
                "snapshots": line.snapshots,
                "gaps": [gap.plain() for gap in line.gaps],
            }
            for line in audit.lines
        ],
        "unknown": list(audit.unknown),
        "outside": audit.stored.outside,
        "lost": list(audit.stored.lost),
        "torn": list(audit.stored.torn),
    }


def lines(audit: Audit) -> list[str]:
    """For a terminal; times of the market."""
    told = [_head(audit)]
    for line in audit.lines:
        counts = (
            f"{line.there} of {line.expected} intervals, {line.snapshots} chains" if line.expected else f"{line.snapshots} chains"
        )
        told.append(f"{line.series}: {counts}")
        told += [f"  {gap.start:%H:%M:%S} to {gap.end:%H:%M:%S}, {gap.missing} missing: {gap.reason}" for gap in line.gaps]
    told += [f"unknown which expiries must be there: {text}" for text in audit.unknown]
    told += [f"torn: {text}" for text in audit.stored.torn]
    told += [f"lost: {text}" for text in audit.stored.lost]
    if any(gap.code in ELSEWHERE for line in audit.lines for gap in line.gaps):
        told.append(f"why a chain never came to storage {NOT_HERE}")
    if audit.stored.outside:
        told.append(f"{audit.stored.outside} chains of the day are in no session")
    return [*told, _end(audit)]


def _head(audit: Audit) -> str:
    session = audit.session
    if isinstance(session, Unknown):
        return f"{audit.day} {audit.calendar}: unknown: {session.reason}"
    if session is None:
        return f"{audit.day} {audit.calendar}: closed: {audit.closed}"
    hours = ", ".join(f"{begin:%H:%M}-{end:%H:%M}" for begin, end in session.hours)
    until = audit.stored.until.astimezone(session.close.tzinfo)
    so_far = f", until {until:%H:%M:%S}" if until < session.close else ""
    return f"{audit.day} {audit.calendar}: {f'{session.name} {hours}'.strip()}, every {audit.every.total_seconds():g} s{so_far}"


def _end(audit: Audit) -> str:
    if audit.is_unknown:
        return "? nobody knows what to expect: write the day into the calendar"
    gaps = [gap for line in audit.lines for gap in line.gaps]
    if audit.is_clean:
        return "✓ nothing is missing"
    torn = f", {len(audit.stored.torn)} torn" if audit.stored.torn else ""
    return f"✗ {len(gaps)} gaps, {sum(gap.missing for gap in gaps)} chains missing{torn}"


def _calendar(path: str) -> Calendar:
    try:
        return Calendar.load(path)
    except ValueError as error:
        raise Drift(str(error), hint="see docs/calendars.md; name a file by --calendar") from error


def _addresses(database: str) -> list[Address]:
    from stockifyd_postgres.address import replicas, resolve  # noqa: PLC0415  see above

    return replicas() if database == "replica" else [resolve(Secret(database))]
