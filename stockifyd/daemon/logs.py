"""Log lines: a sentence for people, or an object a line for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO


class TextFormatter(logging.Formatter):
    """`09:15:02 storage  Stored 100 messages`; the level is named where it is not INFO."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        return f"{at} {_who(record)}  {level}{_told(self, record)}"


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
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("asyncio", "watchfiles"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler


def _who(record: logging.LogRecord) -> str:
    """`storage` of `stockifyd.storage.postgres`."""
    parts = record.name.split(".")
    return parts[1] if parts[0] == "stockifyd" and len(parts) > 1 else record.name


def _told(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    told = record.getMessage()
    return f"{told}\n{formatter.formatException(record.exc_info)}" if record.exc_info and record.exc_info[0] else told
