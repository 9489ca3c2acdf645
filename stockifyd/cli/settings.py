"""What all commands share: the flags before the command, the registry, and how a spec is read for a command."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # `stockifyd --version` needs none of them
    from stockifyd.api import Components
    from stockifyd.registry import Registry
    from stockifyd.spec import Spec

EX_FAILED = 70
EX_CONFIG = 78
"""A bad spec: systemd does not restart on it."""

COMMANDS = {
    "graph": "stockifyd.cli.graph:graph",
    "install-units": "stockifyd.cli.install_units:install_units",
    "pause": "stockifyd.cli.operate:pause",
    "plan": "stockifyd.cli.plan:plan",
    "plugins": "stockifyd.cli.plugins:plugins",
    "reload": "stockifyd.cli.reload:reload",
    "replay": "stockifyd.cli.replay:replay",
    "resume": "stockifyd.cli.operate:resume",
    "run": "stockifyd.cli.run:run",
    "schema": "stockifyd.cli.schema:schema",
    "status": "stockifyd.cli.status:status",
    "tap": "stockifyd.cli.tap:tap",
    "test": "stockifyd.cli.test:test",
    "validate": "stockifyd.cli.validate:validate",
}
"""Commands of ours, imported when they are called. Those of plugins come after them and cannot take their names."""


@dataclass(frozen=True)
class Settings:
    """The flags before the command. A command gets it with `@click.pass_obj`."""

    plugin_files: tuple[str, ...] = ()
    log_format: str = "text"
    log_level: str = "info"

    @cached_property
    def registry(self) -> Registry:
        """All plugins, loaded when first asked for."""
        from stockifyd.registry import Registry  # noqa: PLC0415  imports every plugin

        return Registry.load(self.plugin_files, load_spec=self.components, taken_commands=COMMANDS)

    def spec(self, path: str) -> Spec:
        """A spec that can run; else its findings on stderr, and exit code 78."""
        from stockifyd.spec import load  # noqa: PLC0415

        loaded = load(path, self.registry)
        for finding in loaded.findings:
            click.echo(str(finding), err=True)
        if loaded.spec is None:
            raise click.exceptions.Exit(EX_CONFIG)
        return loaded.spec

    def components(self, path: str) -> Components:
        """The components of a spec, made but not opened: what commands of plugins get."""
        from stockifyd.spec.build import build  # noqa: PLC0415

        return build(self.spec(path))
