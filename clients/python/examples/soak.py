"""The reader that clients/testing/soak.py kills again and again."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import nats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hookline_client import Handlers, follow


class Lines:
    """The effect, a line, is also what says that it was handled."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        self.handled = {tuple(line.split(" ")[:2]) for line in lines}
        self.out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, event: Any) -> None:
        data = event["data"]
        os.write(self.out, f"{event['id']} {data['origin']['revision']} {data.get('conversation_id')}\n".encode())

    def has(self, id: str, revision: int) -> bool:
        return (id, str(revision)) in self.handled

    def add(self, id: str, revision: int) -> None:
        self.handled.add((id, str(revision)))

    def is_withdrawn(self, id: str) -> bool:
        return False

    def withdraw(self, id: str) -> None:
        pass


async def main() -> None:
    lines, stop = Lines(Path(os.environ["HOOKLINE_SOAK_OUT"])), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection = await nats.connect(
        os.environ["HOOKLINE_SOAK_NATS"],
        user="subscriber",
        password="subscriber",
        inbox_prefix=b"_INBOX_subscriber",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
    )
    handlers = Handlers(
        event=lambda _, meta: lines.write(meta.raw),
        withdrawn=lambda _, meta: lines.write(meta.raw),
        unknown=lambda unknown, _: lines.write(unknown.event),
    )
    await follow(connection, handlers, name="shop-a", channel="instagram", account="17841400000000001", ack_wait=0.5, store=lines, stop=stop)
    await connection.close()


asyncio.run(main())
