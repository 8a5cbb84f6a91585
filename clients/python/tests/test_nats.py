"""On a real broker with the shipped permissions: `deploy/dev/clients.sh test python` starts one."""

import asyncio
import json
import os
from typing import Any

import nats
import pytest

from hookline_client import Handlers, Meta, Stopped, follow

from .test_reader import event

URL = os.environ.get("HOOKLINE_TEST_NATS")
ACCOUNT = "17841400000000001"


async def connect(user: str) -> Any:
    return await nats.connect(URL, user=user, password=user, inbox_prefix=f"_INBOX_{user}".encode(), max_reconnect_attempts=-1)


async def eventually(what: str, holds: Any) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.01)


class Following:
    """A reader in a task."""

    def __init__(self, connection: Any, handlers: Handlers, **options: Any) -> None:
        self.stop_it = asyncio.Event()
        account = options.pop("account", ACCOUNT)
        reading = follow(connection, handlers, name="shop-a", channel="instagram", account=account, stop=self.stop_it, ack_wait=2, retry=(0.01, 1), **options)
        self.task = asyncio.create_task(reading)

    async def stop(self) -> None:
        self.stop_it.set()
        await self.task


class KnowsAllButLast:
    def has(self, id: str, revision: int) -> bool:
        return id != "last"

    def add(self, id: str, revision: int) -> None: ...

    def is_withdrawn(self, id: str) -> bool:
        return False

    def withdraw(self, id: str) -> None: ...


async def flow() -> None:
    worker, operator, subscriber = await connect("worker"), await connect("operator"), await connect("subscriber")
    log: list[str] = []
    troubles: list[str] = []
    fails = 0

    async def publish(body: dict[str, Any] | bytes, account: str = ACCOUNT, headers: dict[str, str] | None = None) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body | {"new_field": [1]}).encode()
        await worker.jetstream().publish(f"inbox.v1.event.07.instagram.{account}.message-deleted", payload, headers=headers)

    async def take(event: Any, meta: Meta) -> None:
        nonlocal fails
        assert meta.position
        assert event.model_extra == {"new_field": [1]}, "an unknown field is kept"
        if event.id == "fails-twice" and fails < 2:
            fails += 1
            raise OSError("not now")
        if event.id == "slow":
            await asyncio.sleep(5)
        log.append(f"{event.id} {event.data.origin.revision}" + (f" of {meta.replay}" if meta.replay else ""))

    withdrawn = lambda event, _: log.append(f"{event.data.event_id} withdrawn")  # noqa: E731
    handlers = Handlers(event=take, withdrawn=withdrawn, unknown=lambda unknown, _: log.append(unknown.reason))
    trouble = lambda error, what: troubles.append(f"{what}: {error!r}")  # noqa: E731

    await publish(event("before"))
    following = Following(subscriber, handlers, trouble=trouble)
    await eventually("what was there before it", lambda: log)
    await publish(event("a"))
    await publish(event("of-another-account"), account="17841400000000002")
    await publish(event("a"))
    await publish(event("a", 1))
    await publish(event("b"), headers={"Hookline-Replay": "job-1"})
    await publish(event("c", kind="message.sung"))
    await publish(b"{")
    await publish(event("fails-twice"))
    await publish(event("w", kind="fact.withdrawn", event_id="a", reason="superseded"))
    await publish(event("a", 2))
    await publish(event("d"))
    stranger = "unknown kind hookline.message.sung.v1"
    expected = ["before 0", "a 0", "a 1", "b 0 of job-1", stranger, "not JSON", "fails-twice 0", "a withdrawn", "d 0"]
    await eventually("all of it", lambda: len(log) >= len(expected))
    assert log == expected
    assert len(troubles) == 2, "each failure of a handler is reported"

    # Stopped and resumed: what came meanwhile comes, nothing else.
    await following.stop()
    log.clear()
    await publish(event("meanwhile"))
    following = Following(subscriber, handlers, trouble=trouble)
    await eventually("what came meanwhile", lambda: log)
    await following.stop()
    assert log == ["meanwhile 0"]

    # Two share the name: one has the event in hand, longer than the ack wait, and the other gets neither it nor what lies behind it.
    log.clear()
    two = [Following(subscriber, handlers, trouble=trouble) for _ in range(2)]
    await publish(event("slow"))
    await publish(event("behind-it"))
    await eventually("both of them", lambda: "behind-it 0" in log)
    for one in two:
        await one.stop()
    assert log == ["slow 0", "behind-it 0"]

    # A consumer that is gone is made again, and begins at the start: the store drops what it has.
    log.clear()
    following = Following(subscriber, handlers, trouble=trouble, store=KnowsAllButLast())
    await operator.jetstream().delete_consumer("INBOX_EVENTS", "shop-a")
    await publish(event("last"))
    await eventually("what came after it was made again", lambda: "last 0" in log)
    await following.stop()
    assert set(log) <= {"last 0", "not JSON"}

    # The name is taken by a reader of something else: that is said, and nothing is read.
    with pytest.raises(Stopped, match="another name"):
        await Following(subscriber, handlers, trouble=trouble, account="17841400000000002").task
    for connection in (worker, operator, subscriber):
        await connection.close()
    with pytest.raises(Stopped, match="closed"):
        await Following(subscriber, handlers, trouble=trouble).task


@pytest.mark.skipif(not URL, reason="deploy/dev/clients.sh starts a broker")
def test_an_account_is_followed_with_the_shipped_permissions() -> None:
    asyncio.run(flow())
