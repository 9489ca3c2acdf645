"""What befalls the sink while it connects and writes, and what that means to the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from logging import Logger

from aiokafka import errors as kafka

from stockifyd.api import Drift, Reject, Retry, StockifydError, Unavailable
from stockifyd_kafka.connection import reach
from stockifyd_kafka.errors import WRITING, describe, is_kafka, meaning
from stockifyd_kafka.options import KafkaSinkOptions
from stockifyd_kafka.outlet import Outlet, RefusedError
from stockifyd_kafka.topic import Limits

_FORGOTTEN = (kafka.OutOfOrderSequenceNumber, kafka.UnknownProducerId, kafka.ProducerFenced, kafka.InvalidProducerEpoch)
_GONE = (kafka.UnknownTopicOrPartitionError, kafka.NotLeaderForPartitionError, kafka.LeaderNotAvailableError, TimeoutError)


async def connected(options: KafkaSinkOptions, log: Logger) -> Outlet:
    """An open outlet. Unavailable where no broker answers; Drift where an operator must act."""
    try:
        return await Outlet.open(options, log)
    except Exception as error:
        if not is_kafka(error):
            raise
        raise meaning(error, f"{options.brokers}: cannot connect", cures=WRITING) from error


async def doubts(options: KafkaSinkOptions, log: Logger) -> Sequence[str]:
    """Why writing would not work; nothing if it would."""
    try:
        await reach(options)
        outlet = await Outlet.open(options, log)
        await outlet.leave()
    except Exception as error:
        if not is_kafka(error) and not isinstance(error, StockifydError):
            raise
        found = meaning(error, options.topic, cures=WRITING)
        return [f"{found.reason}\n  HINT: {found.hint}"]
    return ()


async def meaning_of(error: BaseException, outlet: Outlet, options: KafkaSinkOptions) -> BaseException:
    """The error that the runtime knows, or itself."""
    if isinstance(error, RefusedError):
        return _refusal(error, outlet.limits, options)
    if isinstance(error, _FORGOTTEN):
        return Retry(f"the broker has forgotten this producer: {describe(error)}")
    if isinstance(error, _GONE):
        try:
            await outlet.is_there()
        except Drift as gone:
            return gone
        except Exception as unknown:  # it does not answer either
            if not is_kafka(unknown):
                raise
    if isinstance(error, TimeoutError):
        secs = options.delivery_timeout_ms / 1000
        return Unavailable(f"{options.brokers}: a batch was not acknowledged within {secs:g} s")
    return meaning(error, f"topic '{options.topic}'", cures=WRITING) if is_kafka(error) else error


def _refusal(why: RefusedError, limits: Limits, options: KafkaSinkOptions) -> StockifydError:
    """What the broker would not take though we thought it would."""
    alone = len(why.records) == 1
    if isinstance(why.error, kafka.InvalidTimestampError) or alone:
        reason = f"topic '{options.topic}' refuses it: {describe(why.error)}"
        row = why.records[0].place if alone and options.table else None
        return Reject(reason, table=options.table or "", row=row)
    if limits.known:
        return Retry(f"topic '{options.topic}' takes less at a time than before")
    return Drift(
        f"topic '{options.topic}' takes less at a time than {limits.max_bytes} bytes, and its settings cannot be read",
        hint="set `record_max_bytes` to its max.message.bytes, or allow DescribeConfigs on it",
    )
