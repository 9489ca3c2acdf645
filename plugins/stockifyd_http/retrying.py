"""How long is waited before a request is sent again: full jitter, and what the server asks for."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"\d{1,9}")
LONGEST_SECS = 24 * 3600.0
"""A server that asks for more is not believed."""


def pause_secs(attempt: int, first_ms: int, cap_ms: int, chance: random.Random) -> float:
    """Before try number `attempt` + 2: anything from 0 to a growing bound, so that nobody comes back with the others.

    Source: M. Brooker, "Exponential backoff and jitter", 2015 ("full jitter").
    """
    return chance.uniform(0, min(cap_ms, first_ms * 2 ** min(attempt, 30))) / 1000


def retry_after_secs(header: str | None, now: datetime) -> float | None:
    """What Retry-After asks for: seconds, or an HTTP date (RFC 9110, 10.2.3); None where it asks for nothing that is one."""
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_SECS)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:  # -0000, or an obsolete form without a zone: HTTP knows no other than GMT
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_SECS)
