"""What knows nothing of any domain: files, standard output, made-up messages; transforms of JSON and of tables."""

from typing import Any

from stockifyd.api import Component, hookimpl
from stockifyd_basic.decode import Decode
from stockifyd_basic.deduplicate import Deduplicate
from stockifyd_basic.file_sink import FileSink
from stockifyd_basic.file_source import FileSource
from stockifyd_basic.filter import Filter
from stockifyd_basic.flatten import Flatten
from stockifyd_basic.generate import Generate
from stockifyd_basic.select import Select
from stockifyd_basic.stdout import Stdout

__all__ = [
    "Decode",
    "Deduplicate",
    "FileSink",
    "FileSource",
    "Filter",
    "Flatten",
    "Generate",
    "Select",
    "Stdout",
    "stockifyd_components",
]


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    """The components that know nothing of any domain."""
    return [FileSource, Generate, Decode, Deduplicate, Filter, Flatten, Select, FileSink, Stdout]
