#!/usr/bin/env python3
"""A nats-server with the users of `deploy/nats-users.conf`, for the tests of the clients; their passwords are their names.

`broker.py COMMAND…` runs a command beside one that has the stream INBOX_EVENTS. In its environment: HOOKLINE_TEST_NATS is the server's address,
HOOKLINE_TEST_DAY a file of `day.py`.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nats
from nats.js.api import DiscardPolicy, StreamConfig

import day

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("ingest", "worker", "replay", "projector", "api", "ops", "operator", "subscriber")
# The account and the consumer that the example subscriber of nats-users.conf may read, and by which name.
CHANNEL, ACCOUNT, CONSUMER = "instagram", "17841400000000001", "shop-a"


def server():
    """The nats-server that `deploy/dev/setup.sh` finds or fetches."""
    named = os.environ.get("HOOKLINE_NATS_SERVER")
    fetched = ROOT / ".dev/bin/nats-server"
    return named or (str(fetched) if fetched.exists() else shutil.which("nats-server")) or sys.exit("no nats-server: run `make setup`")


async def quiet(_):
    """The broker is killed on purpose: what matters fails the test by itself."""


class Broker:
    """One server on one port; its streams outlive it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        passwords = "".join(f'{role.upper()}_PASSWORD: "{role}"\n' for role in ROLES)
        self.config = self.folder / "nats.conf"
        self.config.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.folder}/data", sync_interval: always }}\n'
            + passwords
            + (ROOT / "deploy/nats-users.conf").read_text()
        )
        self.process = None

    def start(self):
        log = open(self.folder / "nats.log", "ab")
        self.process = subprocess.Popen([server(), "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        sys.exit(f"nats-server does not start:\n{(self.folder / 'nats.log').read_text()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def connect(self, role):
        prefix = f"_INBOX_{role}".encode()
        return await nats.connect(self.url, user=role, password=role, inbox_prefix=prefix, max_reconnect_attempts=-1, error_cb=quiet)

    async def make_stream(self):
        worker = await self.connect("worker")
        config = StreamConfig(name="INBOX_EVENTS", subjects=["inbox.v1.event.>"], duplicate_window=3600, discard=DiscardPolicy.NEW)
        await worker.jetstream().add_stream(config)
        await worker.close()


def main(command):
    if not command:
        sys.exit(__doc__)
    # So that the server ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="hookline-clients-") as folder:
        broker = Broker(folder)
        broker.start()
        try:
            asyncio.run(broker.make_stream())
            events = Path(folder) / "day.jsonl"
            day.write(events)
            environment = os.environ | {"HOOKLINE_TEST_NATS": broker.url, "HOOKLINE_TEST_DAY": str(events)}
            sys.exit(subprocess.run(command, env=environment).returncode)
        finally:
            broker.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
