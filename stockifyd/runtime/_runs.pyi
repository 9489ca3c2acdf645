from collections.abc import Sequence

from stockifyd.api import Message
from stockifyd.runtime.runs import Run

def runs(kind: type[Run], messages: Sequence[Message]) -> list[Run]: ...
