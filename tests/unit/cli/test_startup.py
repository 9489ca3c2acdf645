"""What commands do not import, so that they answer at once: `bench/startup.py` says how soon."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVERS = ("aiohttp", "aiokafka", "asyncpg", "numpy", "polars", "prometheus_client", "uvloop", "watchfiles")
CHECKS = ("jsonschema", "referencing", "yaml")
CODE = """
import sys
from stockifyd.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print(ended.code)
print(*sys.modules)
"""


def imported_by(*arguments: str) -> set[str]:
    """The packages that a command imports which ends well."""
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    *_, code, modules = done.stdout.splitlines()
    assert "0" == code, done.stdout
    return {module.partition(".")[0] for module in modules.split()} | set(modules.split())


def test_version() -> None:
    """`--version` imports neither the API nor a plugin: scripts ask it."""
    assert set() == imported_by("--version") & {
        *SERVERS,
        *CHECKS,
        "asyncio",
        "msgspec",
        "pluggy",
        "stockifyd.api",
        "stockifyd_kafka",
    }


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("test", "--help"), ("validate", "--help")], ids=" ".join)
def test_help(arguments: tuple[str, ...]) -> None:
    """Help imports plugins, which bring commands, but nothing that talks to a server or reads a spec."""
    assert set() == imported_by(*arguments) & {*SERVERS, *CHECKS}


@pytest.mark.parametrize("command", ["validate", "graph", "test"])
def test_static(command: str) -> None:
    """What needs no network imports nothing that talks to one."""
    where = ("pipelines/tests/storage.test.yaml",) if command == "test" else ("pipelines/storage.yaml",)
    assert set() == imported_by(command, *where) & {*SERVERS, "stockifyd.daemon"}
