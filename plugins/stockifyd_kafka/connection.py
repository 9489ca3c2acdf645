"""How brokers are reached: arguments for aiokafka, TLS, and the reason why a broker does not answer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from stockifyd.api import Drift, Unavailable
from stockifyd_kafka.errors import describe, is_kafka, meaning
from stockifyd_kafka.joining import join_patiently
from stockifyd_kafka.options import BrokerOptions, KafkaOptions
from stockifyd_kafka.parting import STOP_SECS

CONNECT_SECS = 10
LAPSE_SECS = 5
ASK_AGAIN_SECS = 0.1
FOREVER_MS = 2**31 - 1

# aiokafka says each try of each retry. What an operator must know is said by the source, once; all of it with `aiokafka: DEBUG`.
if logging.getLogger("aiokafka").level == logging.NOTSET:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def client_arguments(options: BrokerOptions, *, timeout_ms: int = CONNECT_SECS * 1000) -> dict[str, Any]:
    """What every client of these brokers needs. A request that is not answered within `timeout_ms` counts as lost."""
    return {
        "bootstrap_servers": options.brokers,
        "security_protocol": options.security,
        "ssl_context": tls_context(options) if options.tls else None,
        "metadata_max_age_ms": options.metadata_max_age_ms,
        "request_timeout_ms": timeout_ms,
        **_sasl(options),
    }


def calm(client: AIOKafkaClient) -> None:
    """Where nobody answers for the cluster, wait before asking again: aiokafka's sender would keep a core busy with asking."""
    update: Callable[..., Awaitable[bool]] = client._metadata_update  # noqa: SLF001

    async def update_calmly(*arguments: Any) -> bool:
        found = await update(*arguments)
        if not found:
            await asyncio.sleep(ASK_AGAIN_SECS)
        return found

    client._metadata_update = update_calmly  # noqa: SLF001


def member_consumer(options: KafkaOptions, *, instance_id: int) -> AIOKafkaConsumer:
    """A consumer that can become a member of the group; it subscribes to nothing yet."""
    consumer = AIOKafkaConsumer(
        **client_arguments(options),
        client_id=f"stockifyd-{options.group}-{instance_id}",
        group_id=options.group,
        group_instance_id=f"{options.group}-{instance_id}" if options.membership == "static" else None,
        partition_assignment_strategy=(RangePartitionAssignor,),
        auto_offset_reset="none",
        enable_auto_commit=False,
        check_crcs=True,
        isolation_level=options.isolation,
        session_timeout_ms=options.session_timeout_ms,
        heartbeat_interval_ms=options.heartbeat_interval_ms,
        rebalance_timeout_ms=options.rebalance_timeout_ms,
        max_poll_interval_ms=FOREVER_MS,  # one exception out of getmany disables it; the source has its own watch
        fetch_min_bytes=options.fetch_min_bytes,
        fetch_max_wait_ms=options.fetch_max_wait_ms,
        fetch_max_bytes=options.fetch_max_bytes,
        max_partition_fetch_bytes=options.max_partition_fetch_bytes,
    )
    join_patiently(consumer._client, options.rebalance_timeout_ms / 1000 + LAPSE_SECS)  # noqa: SLF001
    return consumer


def scout(options: KafkaOptions) -> AIOKafkaConsumer:
    """A consumer of no group, to look at logs without touching the member's positions."""
    return AIOKafkaConsumer(
        **client_arguments(options),
        auto_offset_reset="none",
        enable_auto_commit=False,
        # Uncommitted: an end offset is then the log's, not that of the oldest open transaction.
        isolation_level="read_uncommitted",
        fetch_max_wait_ms=100,
        fetch_max_bytes=options.fetch_max_bytes,
        max_partition_fetch_bytes=2**20,
    )


async def reach(options: BrokerOptions) -> None:
    """Connect to one of the brokers. aiokafka's own start hides why it fails: Drift for a wrong password, else Unavailable."""
    reasons = []
    arguments = {k: v for k, v in client_arguments(options).items() if k not in ("bootstrap_servers", "metadata_max_age_ms")}
    for host, port, _ in collect_hosts(options.brokers):
        try:
            async with asyncio.timeout(CONNECT_SECS):
                connection = await create_conn(host, port, **arguments)
        except Exception as error:
            if not is_kafka(error):
                raise
            found = meaning(error, f"{host}:{port}")
            if isinstance(found, Drift):
                raise found from error
            reasons.append(f"{host}:{port}: {describe(error)}")
        else:
            connection.close()
            return
    raise Unavailable(f"no broker answers: {'; '.join(reasons)}", hint="check `brokers` and `security`")


async def cluster_id(options: BrokerOptions) -> str:
    """Kafka's own name for this installation."""
    admin = AIOKafkaAdminClient(**client_arguments(options))
    try:
        async with asyncio.timeout(CONNECT_SECS):
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"])
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECS):
                await admin.close()


def tls_context(options: BrokerOptions) -> ssl.SSLContext:
    """Certificates and host names are always verified."""
    context = ssl.create_default_context()
    try:
        if options.tls_ca_file:
            context.load_verify_locations(cafile=options.tls_ca_file)
        if options.tls_cert_file:
            context.load_cert_chain(options.tls_cert_file, options.tls_key_file)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(f for f in (options.tls_ca_file, options.tls_cert_file, options.tls_key_file) if f)
        raise Drift(f"{files}: {describe(error)}", hint="give PEM files that this user may read") from error
    return context


def _sasl(options: BrokerOptions) -> dict[str, Any]:
    if not options.sasl or options.password is None:
        return {}
    return {
        "sasl_mechanism": options.mechanism,
        "sasl_plain_username": options.username,
        "sasl_plain_password": options.password.reveal(),
    }
