"""Compiles the modules that are in C, where there is a compiler; without it stockifyd runs all the same, by slower ways."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = {
    Path("plugins/stockifyd_kafka/_records"): "stockifyd_kafka",
    Path("plugins/stockifyd_postgres/_binary"): "stockifyd_postgres",
    Path("stockifyd/runtime/_runs"): "stockifyd/runtime",
}
"""Each with its folder in the wheel."""
FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-shared")


class CompileHook(BuildHookInterface[Any]):
    """Runs for a wheel and for an editable install; STOCKIFYD_PURE=1 leaves the compiler alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile beside the source; what was made is part of the wheel, which then is for this platform."""
        if self.target_name != "wheel" or os.environ.get("STOCKIFYD_PURE"):
            return
        for module, folder in MODULES.items():
            made = Path(self.root) / module.with_suffix(sysconfig.get_config_var("EXT_SUFFIX") or ".so")
            if not self._is_compiled(Path(self.root) / module, made):
                continue
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            if version == "standard":
                build_data["force_include"][str(made)] = f"{folder}/{made.name}"

    def _is_compiled(self, module: Path, made: Path) -> bool:
        source = module.with_suffix(".c")
        if made.exists() and made.stat().st_mtime > source.stat().st_mtime:
            return True
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        new = made.with_name(f".{made.name}.{os.getpid()}")
        fault = _fault([*compiler, *FLAGS, f"-I{sysconfig.get_path('include')}", str(source), "-o", str(new)])
        if fault:
            self.app.display_warning(f"{source.name} was not compiled, and what it does will take longer: {fault}")
        else:
            new.replace(made)  # at once: somebody may be importing the old one
        return not fault


def _fault(command: list[str]) -> str:
    """What a command says where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the compiler
    except OSError as error:
        return str(error)
    return (done.stderr.strip() or f"it ended with {done.returncode}") if done.returncode else ""
