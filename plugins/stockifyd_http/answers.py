"""What a server answered: JSON as it came, nothing new, or a trouble with its reason."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from stockifyd_http.retrying import retry_after_secs

if TYPE_CHECKING:  # imported when the source works: `stockifyd validate` imports this module, and aiohttp takes its time
    from aiohttp import ClientResponse

CHUNK_BYTES = 64 * 1024
PASSING = frozenset({408, 425, 429})
REFUSED = frozenset({401, 403})
UNCHANGED = frozenset({204, 304})

_json = msgspec.json.Decoder(msgspec.Raw)


class Trouble(Exception):
    """A request that brought nothing.

    `passes`: another try may help. `is_of_endpoint`: others would fare no better. Neither reason nor hint holds a header, a
    parameter or anything of a body.
    """

    def __init__(
        self,
        reason: str,
        *,
        hint: str = "",
        passes: bool = False,
        is_of_endpoint: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint
        self.passes, self.is_of_endpoint, self.retry_after = passes, is_of_endpoint, retry_after


class Answer(NamedTuple):
    """`body` is JSON, an object or a list; None where there is nothing new. The others are for the next request."""

    body: bytes | None
    etag: str = ""
    modified: str = ""


async def answer_of(response: ClientResponse, most_bytes: int, now: datetime) -> Answer:
    """Read an answer. Trouble where it is none that can be used; its content type is not asked, only what it holds."""
    if response.status in UNCHANGED:
        return Answer(None)
    if response.status // 100 != 2:  # noqa: PLR2004
        raise _refusal(response, now)
    body = await _bounded(response, most_bytes)
    if why := _no_json(body):
        kind = response.content_type
        raise Trouble(f"answered {response.status} with {kind}, of which the body is no JSON: {why}", passes=True)
    return Answer(body, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))


async def _bounded(response: ClientResponse, most_bytes: int) -> bytes:
    """The body, unpacked; no more of it than may be is ever in memory."""
    if (response.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    chunks, size = list[bytes](), 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > most_bytes:
            raise _too_large(most_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(most_bytes: int) -> Trouble:
    return Trouble(
        f"the answer has more than {most_bytes} bytes", hint="raise `response_max_bytes`, or ask for less", is_of_endpoint=False
    )


def _no_json(body: bytes) -> str:
    """What is wrong with a body; empty where it is an object or a list. The text in it is checked too: JSON is UTF-8."""
    try:
        found = bytes(_json.decode(body))
        if not body.isascii():
            body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return "text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else _kind(error)
    return "" if found[:1] in (b"{", b"[") else "neither an object nor a list"


def _kind(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error).lower().removeprefix("json is ")


def _refusal(response: ClientResponse, now: datetime) -> Trouble:
    status, said = response.status, f"answered {response.status}"
    if status in PASSING or status >= 500:  # noqa: PLR2004
        return Trouble(said, passes=True, retry_after=retry_after_secs(response.headers.get("Retry-After"), now))
    if status in REFUSED:
        return Trouble(said, hint="are the credentials right, and of today? Put new ones in their place, then `stockifyd reload`")
    if status // 100 == 3:  # noqa: PLR2004
        return Trouble(f"{said}, to another place", hint="redirects are not followed: credentials would go along; change `url`")
    return Trouble(said, hint="are `url`, `parameters` and the symbol's own values right?", is_of_endpoint=False)
