"""A member of a group as a process of its own: reads into a ledger's file until SIGTERM."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from stockifyd.api import Context, configure
from stockifyd_kafka import Kafka, KafkaOptions

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.ledger import Ledger, pump


class MemberProcess:
    """Starts one, and ends it by its pid."""

    def __init__(
        self, ledger: Path, owner: str, options: dict[str, Any], *, take_secs: float = 0.0, instance_id: int = 1
    ) -> None:
        told = {"ledger": str(ledger), "owner": owner, "options": options, "take_secs": take_secs, "instance_id": instance_id}
        self.log_file = ledger.with_name(f"{owner}.log")
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, __file__, json.dumps(told)], stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """SIGTERM, and the exit code; killed if it does not end."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            return self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


async def run(told: dict[str, Any]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = configure(Kafka, told["options"])
    assert isinstance(options, KafkaOptions)
    source = Kafka(options, Context("storage", "kafka", logging.getLogger(told["owner"]), told["instance_id"]))
    await source.open()
    try:
        await pump(source, Ledger(told["ledger"], told["owner"], take_secs=told["take_secs"]), until=stop)
    finally:
        await source.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    asyncio.run(run(json.loads(sys.argv[1])))
