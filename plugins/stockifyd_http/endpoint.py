"""One endpoint of a vendor: sends requests in their turn, tries again, and leaves it alone while it is away."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from stockifyd_http.answers import Answer, Trouble, answer_of
from stockifyd_http.breaker import Breaker
from stockifyd_http.limits import Limits
from stockifyd_http.options import HttpOptions
from stockifyd_http.requests import Prepared
from stockifyd_http.retrying import pause_secs

if TYPE_CHECKING:  # imported when the source works: `stockifyd validate` imports this module, and aiohttp takes its time
    from aiohttp import ClientSession, ClientTimeout


class Ask(NamedTuple):
    """A wish for an answer: of which symbol, until when on the event loop's clock, and what is known already."""

    symbol: str
    request: Prepared
    until: float
    known: Answer = Answer(None)


class Endpoint:
    """Everything that is sent to one address. Several share a session and the vendor's limits."""

    def __init__(
        self, session: ClientSession, limits: Limits, breaker: Breaker, options: HttpOptions, now: Callable[[], datetime]
    ) -> None:
        from aiohttp import ClientTimeout  # noqa: PLC0415  see above

        self._session, self._limits, self._breaker, self._options, self._now = session, limits, breaker, options, now
        self._timeout: ClientTimeout = ClientTimeout(total=options.timeout_secs, connect=options.connect_timeout_secs)
        self._chance = random.Random()  # noqa: S311  jitter is no secret
        self._secret = tuple((name, value.reveal()) for name, value in options.secret_parameters.items())

    async def fetch(self, ask: Ask) -> Answer:
        """The answer; Trouble where none came by the end of the tries, or of the time."""
        loop = asyncio.get_running_loop()
        for attempt in range(self._options.tries):
            try:
                return await self._once(ask)
            except Trouble as trouble:
                pause = self._pause(attempt, trouble)
                if not trouble.passes or attempt + 1 == self._options.tries or loop.time() + pause >= ask.until:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, ask: Ask) -> Answer:
        """One request in its turn, if the breaker lets it through then: others may have failed while it waited."""
        try:
            while True:
                await asyncio.sleep(self._pause_for(ask))
                async with self._limits.turn(ask.symbol, ask.until):
                    if self._pause_for(ask):
                        continue
                    if refusal := self._breaker.refusal():
                        raise Trouble(refusal, is_of_endpoint=False)
                    return await self._judged(ask)
        except TimeoutError as error:
            raise Trouble("the limits left it no turn before the next poll", is_of_endpoint=False) from error

    def _pause_for(self, ask: Ask) -> float:
        """What the server asked others to wait, where there is time for it; not all come back at the same moment."""
        if (left := self._breaker.pause_left()) <= 0:
            return 0.0
        left += self._jitter(0)
        return left if asyncio.get_running_loop().time() + left < ask.until else 0.0

    async def _judged(self, ask: Ask) -> Answer:
        try:
            answer = await self._sent(ask)
        except Trouble as trouble:
            self._breaker.failed(trouble)
            raise
        except BaseException:
            self._breaker.gave_up()
            raise
        self._breaker.worked()
        return answer

    async def _sent(self, ask: Ask) -> Answer:
        """One request, with what goes wrong on the way as Trouble."""
        request = ask.request
        try:
            async with self._session.request(
                request.method,
                request.url,
                params=(*request.parameters, *self._secret),
                data=request.body,
                headers=_conditions(ask.known, request),
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                return await answer_of(response, self._options.response_max_bytes, self._now())
        except Trouble:
            raise
        except Exception as error:
            raise trouble_of(error, self._options) from error

    def _pause(self, attempt: int, trouble: Trouble) -> float:
        return self._jitter(attempt) + (trouble.retry_after or 0)

    def _jitter(self, attempt: int) -> float:
        return pause_secs(attempt, self._options.retry_first_ms, self._options.retry_cap_ms, self._chance)


def trouble_of(error: Exception, options: HttpOptions) -> Trouble:
    """What aiohttp raised, in words that hold no address and no header; anything else is raised as it is."""
    import aiohttp  # noqa: PLC0415  see above

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Trouble(
            f"its certificate is not trusted: {_verification(error.certificate_error)}",
            hint="it is always verified; name the authority's certificates with `tls_ca_file`, if it is one of your own",
        )
    match error:
        case aiohttp.ConnectionTimeoutError():
            reason = f"no connection within {options.connect_timeout_secs:g} s"
        case TimeoutError():
            reason = f"no whole answer within {options.timeout_secs:g} s"
        case aiohttp.ClientConnectorError():
            reason = f"cannot be reached: {_fact(error.os_error)}"
        case aiohttp.ClientPayloadError():
            reason = "the answer broke off, or cannot be unpacked"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            reason = "the connection was closed before an answer"
        case aiohttp.ClientError():
            reason = f"what came is no answer of HTTP: {type(error).__name__}"
        case _:
            raise error
    return Trouble(reason, passes=True)


def session_of(options: HttpOptions) -> ClientSession:
    """A pool of connections: certificates verified, no cookies, nothing of the environment."""
    import aiohttp  # noqa: PLC0415  see above

    context = ssl.create_default_context(cafile=options.tls_ca_file)
    secret = {name: value.reveal() for name, value in options.secret_headers.items()}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=options.connections_max, ssl=context),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "User-Agent": "stockifyd", **options.headers, **secret},
        trust_env=False,
    )


def name_of(url: str) -> str:
    """An endpoint as log lines have it: without a query, and with its places."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _conditions(known: Answer, request: Prepared) -> Mapping[str, str]:
    headers = {"Content-Type": "application/json"} if request.body is not None else {}
    if known.etag:
        headers["If-None-Match"] = known.etag
    if known.modified:
        headers["If-Modified-Since"] = known.modified
    return headers


def _fact(error: OSError) -> str:
    """Without the address, which asyncio puts into its own words."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or type(error).__name__


def _verification(error: Exception) -> str:
    with suppress(AttributeError):
        return str(getattr(error, "verify_message")).lower()  # noqa: B009  only some of them have it
    return type(error).__name__
