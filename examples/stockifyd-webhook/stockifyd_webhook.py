"""Posts a table as JSON to a URL, one request a message."""

from typing import Annotated, Any

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, InvalidURL
from msgspec import Meta

from stockifyd.api import (
    Batch,
    Component,
    Config,
    Drift,
    Message,
    Receipt,
    Reject,
    Retry,
    Secret,
    Sink,
    Tables,
    Unavailable,
    hookimpl,
)

SLOW_DOWN = {408, 425, 429}
NOT_FOR_US = {401, 403, 404, 405, 410}
REDIRECTION, REFUSAL = range(300, 400), range(400, 500)


class WebhookOptions(Config, frozen=True):
    url: Annotated[str, Meta(pattern="^https?://", description="Where to post.")]
    table: Annotated[str, Meta(description="The table whose rows are posted.")] = "options"
    token: Annotated[Secret | None, Meta(description="Sent as `Authorization: Bearer`.")] = None
    timeout_ms: Annotated[int, Meta(ge=1, description="An answer that takes longer counts as none.")] = 10_000


class Webhook(Sink[WebhookOptions]):
    """Posts the rows of one table as JSON, one request a message, in order. At least once.

    The header `Idempotency-Key` is made of the message's position, so that a replay has the same keys however batches
    are cut: a receiver that remembers keys gets each message once.
    """

    type = "webhook"
    session: ClientSession | None = None

    async def open(self) -> None:
        await self.close()
        token = self.config.token
        headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
        self.session = ClientSession(headers=headers, timeout=ClientTimeout(self.config.timeout_ms / 1000))

    async def write(self, batch: Batch) -> Receipt:
        table = batch.tables[self.config.table]
        refused, written = dict[int, str](), 0
        for index, message in enumerate(batch.messages):
            rows = [dict(zip(table.columns, row, strict=True)) for row in table.of_message(index)]
            try:
                if rows:
                    await self._post(message, _json({"table": self.config.table, "rows": rows}))
                written += len(rows)
            except Reject as why:
                refused[index] = why.reason
        return Receipt(rows=written, rejected=refused)

    def wants(self) -> Tables:
        return {self.config.table: ()}

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
            self.session = None

    async def _post(self, message: Message, body: bytes) -> None:
        if self.session is None:
            raise Unavailable("the session is not open")
        (topic, number, cluster), offset = message.position
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{self.context.consumer}/{self.context.name}/{cluster}/{topic}/{number}/{offset}",
        }
        try:
            async with self.session.post(self.config.url, data=body, headers=headers, allow_redirects=False) as answer:
                _judge(answer)
        except InvalidURL as error:
            raise Drift("the url is none", hint="correct the option `url`") from error
        except (ClientError, TimeoutError) as error:
            raise Unavailable(f"no answer: {type(error).__name__}") from error


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, UnicodeEncodeError) as error:  # a value of another kind; half a surrogate pair
        raise Reject(f"no JSON can be made of it: {error}") from error


def _judge(answer: ClientResponse) -> None:
    said = f"{answer.url.host} answered {answer.status}"
    if answer.status in SLOW_DOWN:
        raise Retry(said)
    if answer.status in NOT_FOR_US or answer.status in REDIRECTION:
        raise Drift(said, hint="correct the options `url` and `token`")
    if answer.status in REFUSAL:
        raise Reject(said)
    if not answer.ok:
        raise Unavailable(said)


@hookimpl
def stockifyd_components() -> list[type[Component[Any]]]:
    return [Webhook]
