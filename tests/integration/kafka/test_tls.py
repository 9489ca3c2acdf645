"""TLS: the broker's certificate is verified, always."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, produce
from stockifyd.api import Drift


def certificate(folder: Path, name: str, address: str) -> Path:
    """A self-signed certificate for an address, and its key, in one PEM file."""
    key, cert, both = (folder / f"{name}.{end}" for end in ("key", "crt", "pem"))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={address}", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + cert.read_text())
    return both


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker with a certificate for 127.0.0.1, and nothing else."""
    folder = tmp_path_factory.mktemp("tls")
    server = KafkaServer(folder / "kafka")
    server.certificate = certificate(folder, "broker", "IP:127.0.0.1")
    server.start()
    yield server
    server.kill()


async def test_a_trusted_certificate_is_accepted(bench: Any, tls: KafkaServer) -> None:
    """Messages come through TLS."""
    await create_topic(tls.direct, bench.topic)
    await produce(tls.direct, bench.topic, [b"a"])
    ledger = bench.ledger()
    ca = str(tls.certificate.with_suffix(".crt"))
    async with bench.reading(ledger, brokers=tls.tls, security="SSL", tls_ca_file=ca) as task:
        assert await bench.stored(ledger, 1, task) == [b"a"]


async def test_an_unknown_authority_is_drift(bench: Any, tls: KafkaServer) -> None:
    """The system does not know this certificate."""
    with pytest.raises(Drift, match="CERTIFICATE_VERIFY_FAILED") as raised:
        await bench.source(brokers=tls.tls, security="SSL").open()
    assert "tls_ca_file" in raised.value.hint


async def test_another_host_name_is_drift(bench: Any, tls: KafkaServer) -> None:
    """A certificate for 127.0.0.1 says nothing about `localhost`."""
    ca = str(tls.certificate.with_suffix(".crt"))
    with pytest.raises(Drift, match="CERTIFICATE_VERIFY_FAILED"):
        await bench.source(brokers=f"localhost:{tls.tls_port}", security="SSL", tls_ca_file=ca).open()


async def test_a_missing_file_is_drift(bench: Any, tls: KafkaServer, tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(Drift, match=r"nowhere\.pem"):
        await bench.source(brokers=tls.tls, security="SSL", tls_ca_file=str(tmp_path / "nowhere.pem")).open()
