"""What is wrong with options of the source `http` that their types let pass; each raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stockifyd.api import Calendar
from stockifyd_http.template import places

if TYPE_CHECKING:
    from stockifyd_http.options import HttpOptions, Limit

OURS = ("received_at", "payload")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRINTABLE = re.compile(r"[\x20-\x7e\x80-\xff]*")


def check_request(option: str, url: str) -> None:
    """Scheme and host are there, and the same for all."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{option}: {url!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{option}: {url!r} is no URL such as https://api.example.com/v2/chain")
    if parts.username or parts.password:
        raise ValueError(f"{option}: no user and no password in it; put them into `secret_headers`")
    if parts.query or parts.fragment:
        raise ValueError(f"{option}: what stands behind `?` or `#` goes into `parameters`")
    if next(places(parts.netloc), None):
        raise ValueError(f"{option}: places stand in the path alone, not in {parts.netloc!r}")


def check_secrets(options: HttpOptions) -> None:
    """No secret goes over the network unencrypted, and headers are such that can be sent. Nothing here shows a value."""
    shown = options.headers
    secret = {name: value.reveal() for name, value in options.secret_headers.items()}
    for name, value in (*shown.items(), *secret.items()):
        if not _TOKEN.fullmatch(name) or not _PRINTABLE.fullmatch(value):
            raise ValueError(f"header {name!r} cannot be sent: a character that headers do not have, such as the end of a line")
    if twice := {name.lower() for name in shown} & {name.lower() for name in secret}:
        raise ValueError(f"header {min(twice)!r} is in `headers` and in `secret_headers`")
    urls = [options.url, *([options.listing.url] if options.listing else [])]
    if (secret or options.secret_parameters) and not all(_is_private(url) for url in urls):
        raise ValueError("url: secrets go to `https` alone, or to this machine")


def check_places(options: HttpOptions) -> None:
    """Every place can be filled, for every symbol."""
    own = [set(values) for values in options.symbols.values()]
    for symbol, values in options.symbols.items():
        if reserved := values.keys() & {"symbol", "expiry"}:
            raise ValueError(f"symbols.{symbol}: {min(reserved)!r} is filled by itself; call the value otherwise")
    known = {"symbol", *set.intersection(*own)}
    for name, template in options.templates():
        _check(name, template, known | ({"expiry"} if options.expiries else set()))
    for name, template in options.listing.templates() if options.listing else ():
        _check(f"expiries.listing.{name}", template, known)
    if options.envelope is not None:
        if taken := options.envelope.keys() & set(OURS):
            raise ValueError(f"envelope: {min(taken)!r} is put there by itself")
        _check("envelope", options.envelope, known | ({"expiry"} if options.expiries else set()))


def _check(option: str, template: object, known: set[str]) -> None:
    for place in places(template):
        if place.name not in known:
            told = ", ".join(f"{{{name}}}" for name in sorted(known))
            raise ValueError(f"{option}: nothing fills {place} for every symbol; there are {told}")
        if place.form and place.name != "expiry":
            raise ValueError(f"{option}: {place}: only {{expiry}} has a form, such as {{expiry:%d-%b-%Y}}")
        if place.form and date(2026, 11, 24).strftime(place.form) == place.form:
            raise ValueError(f"{option}: {place}: {place.form!r} is no form of a day, such as %d-%b-%Y")


def check_limits(options: HttpOptions) -> None:
    """What is to be polled in an interval is not more than the vendor allows in one."""
    each = options.series_each
    for limit in options.limits:
        wanted = each if limit.scope == "symbol" else each * len(options.symbols)
        if wanted * limit.per_secs > limit.requests * options.interval_secs:
            raise ValueError(
                f"interval_secs: {wanted} requests {_whose(limit)}every {options.interval_secs:g} s, and {limit.requests} in"
                f" {limit.per_secs:g} s are allowed; {wanted * limit.per_secs / limit.requests:g} s would do"
            )


def check_calendar(path: str | None) -> None:
    """It can be read, and nothing is wrong in it."""
    if path is not None:
        try:
            Calendar.load(path)
        except ValueError as error:
            raise ValueError(f"calendar: {error}") from error


def _whose(limit: Limit) -> str:
    return "for each symbol " if limit.scope == "symbol" else ""


def _is_private(url: str) -> bool:
    """Whether what is sent there is encrypted, or does not leave the machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
