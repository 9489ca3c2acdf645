"""What a user may say of the source `http`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stockifyd.api import Config, Secret
from stockifyd_http.checking import check_calendar, check_limits, check_places, check_request, check_secrets
from stockifyd_http.window import Window

Name = Annotated[str, Meta(min_length=1)]
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Given = str | int | float | bool
MIB = 2**20


class Request(Config, frozen=True, kw_only=True):
    """What is asked. Everywhere in it stand `{symbol}`, `{expiry}` and the symbol's own values."""

    url: Annotated[
        str,
        Meta(
            description="Where is asked; with places such as `{symbol}` in its path alone. `https`, or `http` without secrets.",
            examples=["https://api.upstox.com/v2/option/chain"],
        ),
    ]
    method: Annotated[Literal["GET", "POST"], Meta(description="How is asked.")] = "GET"
    parameters: Annotated[
        dict[str, Given], Meta(description="The query. A text may hold places.", examples=[{"expiry_date": "{expiry}"}])
    ] = msgspec.field(default_factory=dict)
    body: Annotated[
        dict[str, Any] | None,
        Meta(
            description="Sent as JSON. A text that is nothing but a place becomes its value, which may be a number.",
            examples=[{"UnderlyingScrip": "{scrip}", "Expiry": "{expiry}"}],
        ),
    ] = None

    def templates(self) -> Iterator[tuple[str, Any]]:
        """Each option that may hold places, by its name."""
        yield from (("url", self.url), ("parameters", self.parameters), ("body", self.body))


class Listing(Request, frozen=True, kw_only=True):
    """A request whose answer lists the expiries of a symbol."""

    path: Annotated[
        Name,
        Meta(
            description="Where in the answer they stand: names with dots between; of a list, in each of its items.",
            examples=["data.expiry"],
        ),
    ]
    form: Annotated[Name, Meta(description="How a day is written there, as strptime has it.")] = "%Y-%m-%d"
    refresh_secs: Annotated[Seconds, Meta(description="How often is asked anew.")] = 3600.0


class Expiries(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expiries of each symbol: `days`, or what a `listing` says."""

    days: Annotated[tuple[date, ...], Meta(description="The same of all symbols.", examples=[["2026-11-24"]])] = ()
    listing: Annotated[Listing | None, Meta(description="The request that lists them, symbol by symbol.")] = None
    nearest: Annotated[Count, Meta(description="How many of them are polled, of those that are not over.")] = 1

    def __post_init__(self) -> None:
        if bool(self.days) == (self.listing is not None):
            raise ValueError("expiries: say either `days` or `listing`")


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the vendor allows."""

    requests: Annotated[Count, Meta(description="So many requests.")]
    per_secs: Annotated[Seconds, Meta(description="In any so many seconds.")]
    scope: Annotated[
        Literal["symbol", "all"],
        Meta(description="`symbol`: of each symbol; `all`: of all together, shared evenly by TOTAL_INSTANCES instances."),
    ] = "all"


class HttpOptions(Request, frozen=True, kw_only=True):
    """What is polled, when, and how a vendor's API wants it."""

    symbols: Annotated[
        dict[Name, dict[Variable, Given]],
        Meta(
            min_length=1,
            description="What is polled: each with values of its own that the request needs, the same names for all.",
            examples=[{"NIFTY": {"instrument": "NSE_INDEX|Nifty 50"}, "SENSEX": {"instrument": "BSE_INDEX|SENSEX"}}],
        ),
    ]
    interval_secs: Annotated[Seconds, Meta(description="Each is polled at every multiple of it, by the clock.")]
    expiries: Annotated[
        Expiries | None, Meta(description="Poll each symbol once for each of these; default: once, without an expiry.")
    ] = None
    envelope: Annotated[
        dict[str, Any] | None,
        Meta(
            description="A message is a JSON object of these, with places filled, of `received_at` and of `payload`, the answer;"
            " default: it is the answer as it came.",
            examples=[{"vendor": "upstox", "symbol": "{symbol}", "expiry": "{expiry}"}],
        ),
    ] = None
    headers: Annotated[dict[Name, str], Meta(description="Sent with each request.")] = msgspec.field(default_factory=dict)
    secret_headers: Annotated[
        dict[Name, Secret],
        Meta(description="Those that nobody may see.", examples=[{"Authorization": "Bearer ${credential:upstox-token}"}]),
    ] = msgspec.field(default_factory=dict)
    secret_parameters: Annotated[dict[Name, Secret], Meta(description="The same in the query, where an API wants it.")] = (
        msgspec.field(default_factory=dict)
    )
    calendar: Annotated[
        str | None,
        Meta(
            description="The market's calendar: is polled in its sessions. A file, or the name of one that ships, `nse`. On a day"
            " that it does not know the `window` decides. Read at the start.",
            examples=["nse"],
        ),
    ] = None
    window: Annotated[
        Window | None, Meta(description="When the market trades; default: always. Else nothing is polled, and nothing missed.")
    ] = None
    limits: Annotated[
        tuple[Limit, ...],
        Meta(description="What the vendor allows.", examples=[[{"requests": 1, "per_secs": 3, "scope": "symbol"}]]),
    ] = ()
    connections_max: Annotated[Count, Meta(description="Requests at once.")] = 32
    timeout_secs: Annotated[Seconds, Meta(description="For a whole answer, from the connection on.")] = 10.0
    connect_timeout_secs: Annotated[Seconds, Meta(description="For the connection.")] = 5.0
    tries: Annotated[Count, Meta(description="Requests for one poll, the first and those that repeat it.")] = 3
    retry_first_ms: Annotated[
        Count, Meta(description="Before the second try is waited: anything from 0 to this; twice as much before the next.")
    ] = 250
    retry_cap_ms: Annotated[Count, Meta(description="But never more than this, unless the server asks for it.")] = 5_000
    breaker_failures: Annotated[
        Count, Meta(description="After so many failures in a row the endpoint is away, and left alone for a while.")
    ] = 5
    breaker_secs: Annotated[Seconds, Meta(description="Then one request tries it again.")] = 10.0
    response_max_bytes: Annotated[Count, Meta(description="An answer with more, unpacked, is a failure.")] = 8 * MIB
    tls_ca_file: Annotated[str | None, Meta(description="Certificates to trust, PEM; default: the system's.")] = None

    def __post_init__(self) -> None:
        """What types cannot say."""
        check_request("url", self.url)
        check_secrets(self)
        check_places(self)
        check_limits(self)
        check_calendar(self.calendar)
        if self.listing:
            check_request("expiries.listing.url", self.listing.url)

    @property
    def listing(self) -> Listing | None:
        """The request that lists expiries, if there is one."""
        return self.expiries.listing if self.expiries else None

    @property
    def series_each(self) -> int:
        """How often a symbol is polled each time, at most."""
        if self.expiries is None:
            return 1
        return min(self.expiries.nearest, len(self.expiries.days)) if self.expiries.days else self.expiries.nearest

    def values_of(self, symbol: str) -> Mapping[str, Given]:
        """What is known of a symbol."""
        return {**self.symbols[symbol], "symbol": symbol}
