"""What Kafka's errors mean to an operator: wait, or act."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from aiokafka import errors as kafka

from stockifyd.api import Drift, StockifydError, Unavailable

CURES: Mapping[type[BaseException], str] = {
    ssl.SSLCertVerificationError: "check `tls_ca_file`, and that the broker's certificate names the host in `brokers`",
    kafka.AuthenticationFailedError: "check `username` and `password`",
    kafka.SaslAuthenticationFailed: "check `username` and `password`",
    kafka.AuthenticationMethodNotSupported: "set `mechanism` to one that the brokers offer",
    kafka.UnsupportedSaslMechanismError: "set `mechanism` to one that the brokers offer",
    kafka.IllegalSaslStateError: "check `security`: this door does not ask for a password",
    kafka.TopicAuthorizationFailedError: "allow Read on the topic: `kafka-acls.sh --add --operation Read --topic ...`",
    kafka.GroupAuthorizationFailedError: "allow Read on the group: `kafka-acls.sh --add --operation Read --group ...`",
    kafka.ClusterAuthorizationFailedError: "allow Describe on the cluster: `kafka-acls.sh --add --operation Describe --cluster`",
    kafka.InvalidGroupIdError: "choose another `group`",
    kafka.InvalidTopicError: "check the names in `topics`",
    kafka.InvalidSessionTimeoutError: "set `session_timeout_ms` within the brokers' group.{min,max}.session.timeout.ms",
    kafka.InconsistentGroupProtocolError: "the `group` has members with another assignor than range: give each program its own",
    kafka.UnsupportedVersionError: "brokers older than 2.1 are not supported",
}


WRITING: Mapping[type[BaseException], str] = {
    **CURES,
    kafka.TopicAuthorizationFailedError: "allow Write on the topic: `kafka-acls.sh --add --operation Write --topic ...`",
    kafka.ClusterAuthorizationFailedError: "allow IdempotentWrite: `kafka-acls.sh --add --operation IdempotentWrite --cluster`",
    kafka.InvalidTopicError: "check the name in `topic`",
}


def meaning(error: BaseException, doing: str, *, cures: Mapping[type[BaseException], str] = CURES) -> StockifydError:
    """The same as one of the errors that the runtime knows: Drift where an operator must act, else Unavailable."""
    if isinstance(error, StockifydError):
        return error
    for kind, cure in cures.items():
        if isinstance(error, kind):
            return Drift(f"{doing}: {describe(error)}", hint=cure)
    return Unavailable(f"{doing}: {describe(error)}")


def is_kafka(error: BaseException) -> bool:
    """Whether it comes from Kafka, the network or a bound in time, and not from a mistake of ours."""
    return isinstance(error, (kafka.KafkaError, OSError, TimeoutError, asyncio.TimeoutError))


def describe(error: BaseException) -> str:
    """One line, without a type where the text says it all."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
