"""Options of the Kafka source and sink."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from stockifyd.api import Config, Secret

Positive = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1)]
MIB = 2**20


class BrokerOptions(Config, frozen=True, kw_only=True):
    """How the brokers are reached."""

    brokers: Annotated[Name, Meta(description="Brokers to begin with, comma separated.", examples=["kafka-1:9092,kafka-2:9092"])]
    metadata_max_age_ms: Annotated[Positive, Meta(description="How soon new partitions are noticed.")] = 30_000
    security: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Meta(description="How the brokers' door is secured.")
    ] = "PLAINTEXT"
    mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Meta(description="How the password is shown; with SASL.")
    ] = "SCRAM-SHA-512"
    username: Annotated[str | None, Meta(description="With SASL.")] = None
    password: Annotated[Secret | None, Meta(description="With SASL.")] = None
    tls_ca_file: Annotated[str | None, Meta(description="Certificates to trust, PEM; default: the system's.")] = None
    tls_cert_file: Annotated[str | None, Meta(description="Our own certificate, PEM, where brokers ask for one.")] = None
    tls_key_file: Annotated[str | None, Meta(description="The key of `tls_cert_file`, PEM; default: in the same file.")] = None

    def __post_init__(self) -> None:
        """What types cannot say."""
        if self.sasl and not (self.username and self.password):
            raise ValueError(f"`security: {self.security}` needs `username` and `password`")
        if not self.sasl and (self.username or self.password):
            raise ValueError(f"`username` and `password` need SASL, and `security` is {self.security}")
        if not self.tls and (self.tls_ca_file or self.tls_cert_file or self.tls_key_file):
            raise ValueError(f"`tls_*` options need `security: SSL` or `SASL_SSL`, and it is {self.security}")
        if self.tls_key_file and not self.tls_cert_file:
            raise ValueError("`tls_key_file` needs `tls_cert_file`")

    @property
    def sasl(self) -> bool:
        """Whether brokers ask for a password."""
        return self.security.startswith("SASL")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security.endswith("SSL")


class KafkaOptions(BrokerOptions, frozen=True, kw_only=True):
    """What to read, as which group and from where."""

    topics: Annotated[list[Name], Meta(min_length=1, description="Topics to read. They must exist: none is ever created.")]
    group: Annotated[Name, Meta(description="The consumer group; members share the partitions among them.")]
    start: Annotated[
        str,
        Meta(
            description="Where partitions begin that no ledger and no commit knows: `earliest`, `latest`, `committed` (take over"
            " the group's own offsets) or an RFC 3339 time. Partitions added later begin at their first message.",
            examples=["earliest", "2026-11-24T03:45:00Z"],
        ),
    ] = "earliest"
    end: Annotated[
        str | None,
        Meta(
            description="An RFC 3339 time that is past: messages from the first of this time on are not read, and the pipeline is"
            " finished when all before are delivered; default: it goes on.",
            examples=["2026-11-24T10:00:00Z"],
        ),
    ] = None
    isolation: Annotated[
        Literal["read_committed", "read_uncommitted"], Meta(description="Whether messages of aborted transactions are left out.")
    ] = "read_committed"
    on_gap: Annotated[
        Literal["halt", "continue"],
        Meta(
            description="When retention has deleted messages that were never read: stop, or record the gap and go on behind it."
        ),
    ] = "halt"
    membership: Annotated[
        Literal["dynamic", "static"],
        Meta(
            description="`static`: the member's id is made of the group and INSTANCE_ID; a restart within `session_timeout_ms`"
            " keeps its partitions; no two processes may have the same."
        ),
    ] = "dynamic"
    session_timeout_ms: Annotated[Positive, Meta(description="A member silent for so long loses its partitions.")] = 6_000
    heartbeat_interval_ms: Annotated[
        Positive, Meta(description="How often a member says that it lives, and hears of others.")
    ] = 500
    rebalance_timeout_ms: Annotated[Positive, Meta(description="How long members may take to join again.")] = 60_000
    fetch_min_bytes: Annotated[Positive, Meta(description="The broker waits for so much to have come.")] = 10_240
    fetch_max_wait_ms: Annotated[Positive, Meta(le=10_000, description="But no longer than this.")] = 1_000
    fetch_max_bytes: Annotated[Positive, Meta(description="The most that one broker sends at a time.")] = 4 * MIB
    max_partition_fetch_bytes: Annotated[Positive, Meta(description="The most of one partition in it.")] = MIB
    stall_secs: Annotated[
        float, Meta(gt=0, description="Connect anew when there is more to read and nothing has come for so long.")
    ] = 30.0

    def __post_init__(self) -> None:
        """What types cannot say."""
        super().__post_init__()
        if self.start not in ("earliest", "latest", "committed"):
            _time(self.start, "start")
        if self.end is not None:
            _time(self.end, "end")
            if self.start_ms is not None and self.end_ms is not None and self.start_ms >= self.end_ms:
                raise ValueError(f"`end` is {self.end}, which is not after `start`, {self.start}")
        if 3 * self.heartbeat_interval_ms > self.session_timeout_ms:
            raise ValueError(
                f"`heartbeat_interval_ms` is {self.heartbeat_interval_ms}: at most a third of `session_timeout_ms`"
                f" ({self.session_timeout_ms}), so that a lost one is no eviction"
            )
        if self.session_timeout_ms > self.rebalance_timeout_ms:
            raise ValueError("`rebalance_timeout_ms` must not be below `session_timeout_ms`")

    @property
    def start_ms(self) -> int | None:
        """`start` in milliseconds since 1970, where it is a time."""
        if self.start in ("earliest", "latest", "committed"):
            return None
        return int(_time(self.start, "start").timestamp() * 1000)

    @property
    def end_ms(self) -> int | None:
        """`end` in milliseconds since 1970, if there is one."""
        return None if self.end is None else int(_time(self.end, "end").timestamp() * 1000)


class KafkaSinkOptions(BrokerOptions, frozen=True, kw_only=True):
    """Where to write, and what a record is."""

    topic: Annotated[Name, Meta(description="The topic to write. It must exist: none is ever created.")]
    table: Annotated[
        Name | None, Meta(description="The table whose rows are written, one record each, as JSON; default: messages are.")
    ] = None
    partition: Annotated[
        Literal["same", "key"],
        Meta(
            description="`same`: the number that the message has in the source; `key`: by the key, as Kafka's own clients choose,"
            " and `same` where there is none."
        ),
    ] = "same"
    key: Annotated[
        Name | None, Meta(description="With `table`: the column whose text is a record's key; default: the message's key.")
    ] = None
    # Of a chain of 210 kB zstd makes 43 kB in 0.8 ms; lz4, which aiokafka does at level 9, 54 kB in 3.9 ms.
    compression: Annotated[Literal["zstd", "lz4", "snappy", "gzip", "none"], Meta(description="Of record batches.")] = "zstd"
    record_batch_max_bytes: Annotated[
        Positive, Meta(description="Records of a partition that are sent together, before compression.")
    ] = 512 * 1024
    record_max_bytes: Annotated[
        Positive | None,
        Meta(description="A record that is larger, compressed, is rejected; default: what the topic's `max.message.bytes` says."),
    ] = None
    delivery_timeout_ms: Annotated[
        Annotated[int, Meta(ge=1_000)], Meta(description="A batch that is not acknowledged within this time is written again.")
    ] = 30_000

    def __post_init__(self) -> None:
        """What types cannot say."""
        super().__post_init__()
        if self.key and not self.table:
            raise ValueError("key: names a column, and so needs `table`; messages keep their key")


def _time(text: str, option: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or "T" not in text.upper():
        words = "earliest, latest, committed, or " if option == "start" else ""
        raise ValueError(f"`{option}` is {text!r}: {words}a time with its zone as 2026-11-24T03:45:00Z")
    return found
