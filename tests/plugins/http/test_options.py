"""What `validate` says of options of the source `http`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stockifyd.api import configure
from stockifyd_http import Http

SECRET = "not-to-be-told"
GOOD: dict[str, Any] = {
    "url": "https://vendor.example/{symbol}",
    "symbols": {"NIFTY": {"key": "a"}, "SENSEX": {"key": "b"}},
    "interval_secs": 3,
}
LIST = {"url": "https://vendor.example/list", "path": "data"}


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ({"url": "vendor.example"}, "is no URL such as https://"),
        ({"url": "ftp://vendor.example"}, "is no URL such as https://"),
        ({"url": "https://{symbol}.example/"}, "places stand in the path alone"),
        ({"url": "https://vendor.example:99999/"}, "is no URL"),
        ({"url": "https://vendor.example/?a=b"}, "goes into `parameters`"),
        ({"url": f"https://u:{SECRET}@vendor.example/"}, "no user and no password in it"),
        ({"url": "https://vendor.example/{nothing}"}, "nothing fills {nothing} for every symbol; there are {key}, {symbol}"),
        ({"parameters": {"d": "{expiry}"}}, "parameters: nothing fills {expiry}"),
        ({"body": {"deep": [{"x": "{typo}"}]}}, "body: nothing fills {typo}"),
        ({"envelope": {"x": "{key:%d}"}}, "only {expiry} has a form"),
        ({"envelope": {"payload": 1}}, "'payload' is put there by itself"),
        ({"symbols": {"A": {"expiry": "x"}}}, "'expiry' is filled by itself"),
        ({"symbols": {"A": {"x": 1}, "B": {}}, "parameters": {"p": "{x}"}}, "nothing fills {x} for every symbol"),
        ({"symbols": {}}, "length >= 1"),
        ({"expiries": {}}, "say either `days` or `listing`"),
        ({"expiries": {"days": ["2026-11-24"], "listing": LIST}}, "say either `days` or `listing`"),
        (
            {"expiries": {"listing": LIST | {"parameters": {"d": "{expiry}"}}}},
            "expiries.listing.parameters: nothing fills {expiry}",
        ),
        ({"expiries": {"listing": LIST | {"url": "x"}}}, "expiries.listing.url: 'x' is no URL"),
        ({"expiries": {"days": ["2026-11-24"]}, "parameters": {"d": "{expiry:x}"}}, "'x' is no form of a day"),
        ({"url": "http://vendor.example/", "secret_headers": {"A": SECRET}}, "secrets go to `https` alone"),
        ({"url": "http://vendor.example/", "secret_parameters": {"A": SECRET}}, "secrets go to `https` alone"),
        ({"secret_headers": {"A": SECRET + "\n"}}, "header 'A' cannot be sent"),
        ({"headers": {"A B": "x"}}, "header 'A B' cannot be sent"),
        ({"headers": {"a": "x"}, "secret_headers": {"A": SECRET}}, "header 'a' is in `headers` and in `secret_headers`"),
        ({"window": {"open": "9:15", "close": "15:30", "timezone": "Asia/Kolkata"}}, "'9:15' is no time of the day"),
        ({"window": {"open": "15:30", "close": "09:15", "timezone": "Asia/Kolkata"}}, "09:15 is not after 15:30"),
        ({"window": {"open": "09:15", "close": "15:30", "timezone": "Mumbai"}}, "'Mumbai' is not known"),
        ({"calendar": "nowhere.yaml"}, "calendar: nowhere.yaml cannot be read"),
        (
            {"expiries": {"listing": LIST, "nearest": 4}, "limits": [{"requests": 1, "per_secs": 3, "scope": "symbol"}]},
            "4 requests for each symbol every 3 s, and 1 in 3 s are allowed; 12 s would do",
        ),
        ({"limits": [{"requests": 10, "per_secs": 20}]}, "2 requests every 3 s, and 10 in 20 s are allowed; 4 s would do"),
    ],
)
def test_what_is_refused(options: dict[str, Any], fact: str) -> None:
    """The fact is told, and no secret."""
    with pytest.raises(msgspec.ValidationError) as found:
        configure(Http, GOOD | options)
    assert fact in str(found.value)
    assert SECRET not in str(found.value)


def test_what_is_taken() -> None:
    """A secret over plain HTTP to this machine, limits that are just kept, days in another form."""
    options = {
        "url": "http://127.0.0.1:8080/{key}",
        "secret_headers": {"Authorization": SECRET},
        "expiries": {"days": ["2026-11-24"], "nearest": 9},
        "parameters": {"d": "{expiry:%d-%b-%Y}"},
        "limits": [{"requests": 1, "per_secs": 3, "scope": "symbol"}, {"requests": 2, "per_secs": 3}],
    }
    assert configure(Http, GOOD | options)
