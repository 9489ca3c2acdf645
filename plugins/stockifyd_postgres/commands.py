"""The commands `migrate` and `dlq ls|show|retry`; what they do is imported when they do it: every start imports this module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from stockifyd.api import Components, Drift, LoadSpec
from stockifyd_postgres.sink import Postgres

if TYPE_CHECKING:
    from stockifyd_postgres.mailbox import Filter, Letter
    from stockifyd_postgres.retry import Outcome

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
FILTERS: tuple[Option, ...] = (
    click.option("--sink", default="", help="The sink's name, where the pipeline has several of type postgres."),
    click.option("--topic", default="", help="Of this topic alone."),
    click.option("--partition", type=int, default=None, help="Of this partition alone."),
    click.option("--reason", default="", help="Whose reason holds these words."),
    click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most this many, oldest first."),
    click.option("--json", "as_json", is_flag=True, help="For a script: one JSON document."),
)


def migrate_command(load: LoadSpec) -> click.Command:
    """`migrate`, for specs read by `load`."""

    @click.command("migrate")
    @click.argument("spec", type=click.Path(exists=True, dir_okay=False))
    @click.option("--print", "only_print", is_flag=True, help="Print the SQL and connect to nothing.")
    @click.option("--url", default="", help="The database, as its owner. Default: DATABASE_OWNER_URL, else the sink's own.")
    @click.option("--grant-to", multiple=True, metavar="ROLE", help="The role that writes. Default: the sink's own.")
    @click.option("--reader", "readers", multiple=True, metavar="ROLE", help="A role that may read, and nothing else.")
    @click.option("--load", "loads", multiple=True, metavar="TABLE=FILE", help="Rows of a YAML file, by the table's primary key.")
    @click.option("--into", default="", metavar="SCHEMA", help="The same tables in this schema, for `replay --into`.")
    @click.option("--timescaledb", is_flag=True, help="With --print: hypertables, not daily partitions.")
    @click.option("--accept-database", is_flag=True, help="The ledger began in another database: this one goes on in its place.")
    def command(spec: str, *, only_print: bool, into: str, **wishes: object) -> None:
        """Make the ledger, the tables, the partitions and the grants that a pipeline needs. May be run again at any time."""
        import asyncio  # noqa: PLC0415  see above

        from stockifyd_postgres.migrate import Wishes, migrate, script  # noqa: PLC0415

        live = _sinks(load, spec)
        sinks = [_elsewhere(sink, into) for sink in live]
        asked = Wishes(**wishes, like=_likes(sinks, live))  # type: ignore[arg-type]
        if only_print and asked.loads:
            raise click.UsageError("--load needs the database: it asks for the table's key")
        if only_print:
            click.echo(script(sinks, asked), nl=False)
            return
        for line in asyncio.run(migrate(sinks, asked)):
            click.echo(line)

    return command


def dlq_command(load: LoadSpec) -> click.Group:
    """The group `dlq`, for specs read by `load`."""

    @click.group("dlq")
    def dlq() -> None:
        """Dead letters: messages that could not be stored, kept with the reason and their payload."""

    dlq.add_command(_ls(load))
    dlq.add_command(_show(load))
    dlq.add_command(_retry(load))
    return dlq


def filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose dead letters."""
    for option in reversed(FILTERS):
        command = option(command)
    return click.argument("spec", type=click.Path(exists=True, dir_okay=False))(command)


def choose(components: Components, name: str) -> Postgres:
    """The sink of that name, or the only one."""
    sinks = [sink for sink in components.sinks if isinstance(sink, Postgres)]
    named = [sink for sink in sinks if not name or sink.context.name == name]
    if len(named) == 1:
        return named[0]
    known = ", ".join(sink.context.name for sink in sinks) or "none"
    raise Drift(f"which sink of type postgres: {name or 'none named'}", hint=f"say --sink; there are: {known}")


def _ls(load: LoadSpec) -> click.Command:
    @click.command("ls")
    @filtered
    def ls(spec: str, *, sink: str, as_json: bool, **wanted: Any) -> None:
        """List dead letters, oldest first."""
        import json  # noqa: PLC0415  see above

        from stockifyd_postgres.mailbox import Filter  # noqa: PLC0415

        found = _fetched(choose(load(spec), sink), Filter(**wanted))
        if as_json:
            click.echo(json.dumps([letter.plain() for letter in found]))
            return
        for letter in found:
            click.echo(f"{letter.first_seen:%Y-%m-%d %H:%M:%S}  {letter.name}  {letter.error_class} {letter.reason}")
        click.echo(f"{len(found)} dead letters" if len(found) != 1 else "1 dead letter")

    return ls


def _show(load: LoadSpec) -> click.Command:
    @click.command("show")
    @filtered
    @click.argument("letter", metavar="TOPIC/PARTITION/OFFSET")
    def show(spec: str, letter: str, *, sink: str, as_json: bool, **_: Any) -> None:
        """Show one dead letter with its payload."""
        import json  # noqa: PLC0415  see above

        from stockifyd_postgres.mailbox import Filter  # noqa: PLC0415

        found = _fetched(choose(load(spec), sink), Filter.named(letter))
        if not found:
            raise Drift(f"there is no dead letter {letter!r}", hint="`stockifyd dlq ls` lists them")
        plain = found[0].plain(payload=True)
        if as_json:
            click.echo(json.dumps(plain))
            return
        payload = plain.pop("payload")
        for name, value in plain.items():
            click.echo(f"{name}: {value}")
        click.echo(f"payload:\n{payload}")

    return show


def _retry(load: LoadSpec) -> click.Command:
    @click.command("retry")
    @filtered
    @click.argument("letters", nargs=-1, metavar="[TOPIC/PARTITION/OFFSET]...")
    @click.option("--all", "everything", is_flag=True, help="All that the filters leave.")
    def again(spec: str, letters: tuple[str, ...], *, sink: str, as_json: bool, everything: bool, **wanted: Any) -> None:
        """Run dead letters through the pipeline's transforms and write them. One that fails again stays, with its new reason."""
        import asyncio  # noqa: PLC0415  see above
        import json  # noqa: PLC0415

        from stockifyd_postgres.mailbox import Filter  # noqa: PLC0415

        if not letters and not everything:
            raise click.UsageError("name dead letters as TOPIC/PARTITION/OFFSET, or say --all")
        components = load(spec)
        chosen = [Filter.named(letter) for letter in letters] or [Filter(**wanted)]
        outcome = asyncio.run(_try(components, choose(components, sink), chosen))
        click.echo(json.dumps(outcome.plain()) if as_json else "\n".join(outcome.lines()))
        if outcome.refused:
            raise SystemExit(1)

    return again


def _fetched(sink: Postgres, wanted: Filter) -> list[Letter]:
    import asyncio  # noqa: PLC0415  see above

    from stockifyd_postgres.mailbox import fetch  # noqa: PLC0415

    return asyncio.run(fetch(sink, wanted))


async def _try(components: Components, sink: Postgres, chosen: Sequence[Filter]) -> Outcome:
    from stockifyd_postgres.mailbox import fetch  # noqa: PLC0415  see above
    from stockifyd_postgres.retry import retry  # noqa: PLC0415

    found = [letter for wanted in chosen for letter in await fetch(sink, wanted)]
    return await retry(components, sink, found)


def _sinks(load: LoadSpec, spec: str) -> list[Postgres]:
    components = load(spec)
    if sinks := [sink for sink in components.sinks if isinstance(sink, Postgres)]:
        return sinks
    raise Drift(f"{spec}: no sink of this pipeline is of type 'postgres'", hint="there is nothing to migrate")


def _elsewhere(sink: Postgres, schema: str) -> Postgres:
    """The sink as a replay into a schema has it."""
    try:
        return Postgres(Postgres.into(sink.config, schema), sink.context) if schema else sink
    except ValueError as error:
        raise click.UsageError(f"--into {schema!r}: {error}") from error


def _likes(sinks: Sequence[Postgres], live: Sequence[Postgres]) -> dict[tuple[str, str], tuple[str, str]]:
    """Of each table elsewhere the one that it is to be like."""
    pairs = zip(sinks, live, strict=True)
    both = [(table, other.config.tables[name]) for sink, other in pairs for name, table in sink.config.tables.items()]
    return {table.target: other.target for table, other in both if table.target != other.target}
