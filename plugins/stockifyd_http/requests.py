"""What is sent for one series, made once: the address, the query and the body, with all places filled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import msgspec

from stockifyd_http.template import Values, filled, text_filled

if TYPE_CHECKING:
    from stockifyd_http.options import Request


class Prepared(NamedTuple):
    """A request without what is secret."""

    method: str
    url: str
    parameters: tuple[tuple[str, str], ...]
    body: bytes | None


def prepared(request: Request, values: Values) -> Prepared:
    """A request with these values; in the path they are encoded, so that none can change where it leads."""
    url = text_filled(request.url, values, lambda text: quote(text, safe=""))
    parameters = tuple((name, _text(filled(value, values))) for name, value in request.parameters.items())
    body = None if request.body is None else msgspec.json.encode(filled(request.body, values))
    return Prepared(request.method, url, parameters, body)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
