"""Log lines: a sentence for people, or an object a line for machines; for journald with their level."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

JOURNAL_LEVELS = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
DEBUG = 7


class TextFormatter(logging.Formatter):
    """`09:15:02 storage  Stored 100 messages`; the level is named where it is not INFO."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {self.without_time(record)}"

    def without_time(self, record: logging.LogRecord) -> str:
        """The same for who notes the time himself."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        return f"{_who(record)}  {level}{_told(self, record)}"


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        said: dict[str, Any] = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


class JournalFormatter(logging.Formatter):
    """What another would say, each line with its level, and without the time, which journald has."""

    def __init__(self, other: logging.Formatter) -> None:
        super().__init__()
        self._other = other

    def format(self, record: logging.LogRecord) -> str:
        other = self._other
        told = other.without_time(record) if isinstance(other, TextFormatter) else other.format(record)
        return leveled(told, record.levelno)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes to stderr, over a progress line if there is one."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.progress = ""

    def emit(self, record: logging.LogRecord) -> None:
        if self.progress:
            self.stream.write("\r\x1b[K")
        super().emit(record)
        self.show(self.progress)

    def show(self, line: str) -> None:
        """Put a progress line below the log; an empty one takes it away."""
        if line or self.progress:
            self.stream.write(f"\r\x1b[K{line}")
            self.stream.flush()
        self.progress = line


def set_up(log_format: str, level: str) -> LineHandler:
    """Send all logging to stderr in this format."""
    handler = LineHandler()
    formatter = JsonFormatter() if log_format == "json" else TextFormatter()
    handler.setFormatter(JournalFormatter(formatter) if is_journal(sys.stderr) else formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("asyncio", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler


def is_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether journald reads a stream."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or a test's
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def leveled(text: str, level: int) -> str:
    """Each line as journald takes it: `<3>` before an error."""
    number = next((number for least, number in JOURNAL_LEVELS if level >= least), DEBUG)
    return "\n".join(f"<{number}>{line}" for line in text.splitlines())


def said(text: str, level: int, stream: TextIO) -> str:
    """What to write there for a line that is of no logger."""
    return leveled(text, level) if is_journal(stream) else text


def _who(record: logging.LogRecord) -> str:
    """`storage` of `stockifyd.storage.postgres`."""
    parts = record.name.split(".")
    return parts[1] if parts[0] == "stockifyd" and len(parts) > 1 else record.name


def _told(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    told = record.getMessage()
    return f"{told}\n{formatter.formatException(record.exc_info)}" if record.exc_info and record.exc_info[0] else told
