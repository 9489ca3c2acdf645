"""`stockifyd install-units`: what systemd needs to run pipelines."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

SYSTEM = Path("/etc/systemd/system")
SETTINGS = Path("/etc/stockifyd")
BOOTED = Path("/run/systemd/system")


@click.command("install-units")
@click.option("--print", "is_printed", is_flag=True, help="Print the units, and do nothing.")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False), metavar="DIR", help="Write the units there, and do nothing else."
)
@click.option("--program", type=click.Path(), metavar="PATH", help="What the units start.  [default: this program]")
def install_units(*, is_printed: bool, folder: str | None, program: str | None) -> None:
    """Install the units by which systemd runs pipelines: stockifyd@NAME-N for one, stockifyd.service for a folder of them.

    As root: writes the units, makes the group `stockifyd` and the folders in /etc/stockifyd, and reloads systemd. May be run
    again, and has to be after the program moved.
    """
    from stockifyd.daemon.units import units  # noqa: PLC0415

    texts = units(Path(program).absolute() if program else _this_program())
    if is_printed:
        click.echo("\n".join(f"# {SYSTEM / name}\n{text}" for name, text in texts.items()), nl=False)
        return
    if folder is None:
        _check(Path(program) if program else None)
    _write(Path(folder or SYSTEM), texts)
    if folder is None:
        _prepare()
        click.echo(f"next: a spec in {SETTINGS}/pipelines, then `systemctl enable --now stockifyd@NAME-1 stockifyd.target`")


def _this_program() -> Path:
    called = shutil.which(sys.argv[0])
    return Path(called).absolute() if called and Path(called).name == "stockifyd" else Path(sys.executable).with_name("stockifyd")


def _check(program: Path | None) -> None:
    """StockifydError where it cannot be done, or would not run: before anything is written."""
    from stockifyd import __file__ as package  # noqa: PLC0415
    from stockifyd.api import StockifydError  # noqa: PLC0415
    from stockifyd.daemon.units import out_of_reach  # noqa: PLC0415

    if os.geteuid() != 0:
        raise StockifydError(f"only root may write to {SYSTEM}", hint="call it with sudo, or see --print and --to DIR")
    if missing := [name for name in ("systemctl", "systemd-sysusers") if shutil.which(name) is None]:
        raise StockifydError(f"{missing[0]} is not on this machine", hint="is systemd? --to DIR writes the units for another one")
    if program and not os.access(program, os.X_OK):
        raise StockifydError(f"{program} is no program", hint="--program names what `stockifyd` is on this machine")
    if why := out_of_reach([program] if program else [_this_program(), Path(sys.executable), Path(package)]):
        raise StockifydError(why, hint="install stockifyd where every user reads it, such as `python3 -m venv /opt/stockifyd`")


def _write(folder: Path, texts: dict[str, str]) -> None:
    from stockifyd.api import StockifydError  # noqa: PLC0415

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
            click.echo(f"wrote {folder / name}")
    except OSError as error:
        raise StockifydError(f"{error.filename}: {error.strerror}", hint="--to DIR writes elsewhere, --print nowhere") from error


def _prepare() -> None:
    """The group, the folders, and systemd's knowledge of the units."""
    from stockifyd.daemon.units import GROUP  # noqa: PLC0415

    _call("systemd-sysusers", "--inline", f"g {GROUP} -")
    for folder, mode in ((SETTINGS, 0o755), (SETTINGS / "pipelines", 0o2750), (SETTINGS / "credentials", 0o700)):
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, 0, grp.getgrnam(GROUP).gr_gid)
            folder.chmod(mode)
            click.echo(f"made {folder}")
    if BOOTED.is_dir():
        _call("systemctl", "daemon-reload")


def _call(*command: str) -> None:
    from stockifyd.api import StockifydError  # noqa: PLC0415

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - two commands of systemd
    if done.returncode:
        raise StockifydError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}")
