"""Reads the events of one account from INBOX_EVENTS by a durable consumer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from .reader import Handlers, Reader, Stopped, Trouble
from .store import Store
from .subjects import account_filter

if TYPE_CHECKING:
    from nats.aio.client import Client

STREAM = "INBOX_EVENTS"
# How long the broker keeps a request without events; `stop` is seen after as long.
EXPIRES = 1.0


async def follow(
    connection: Client,
    handlers: Handlers,
    *,
    name: str,
    channel: str,
    account: str,
    stop: asyncio.Event | None = None,
    start: Literal["first", "new"] = "first",
    ack_wait: float = 30.0,
    store: Store | None = None,
    trouble: Trouble | None = None,
    retry: tuple[float, float] = (0.5, 30.0),
) -> None:
    """Hands every event of the account to `handlers`, one at a time, in the order of the stream, until `stop` is set. Raises `Stopped` when nothing
    more can come; everything else is tried again.

    `connection` has the `inbox_prefix` that its user may subscribe to, and `max_reconnect_attempts` -1; it stays the caller's to close. The position
    is kept in the broker under `name`. `start` and `ack_wait` (seconds after which what a dead process had in hand comes again) are for a consumer
    that is made now. `store` is what was handled already: a `Window` in memory unless given. `trouble` is called with what failed and is tried
    again: a line in the log unless given. `retry` is the first and the longest pause, in seconds, between tries of a handler.
    """
    stop = stop or asyncio.Event()
    reader = Reader(handlers, store=store, trouble=trouble, retry=retry, stop=stop)
    while not stop.is_set():
        subscription = None
        try:
            wait = await _make(connection, name, account_filter(channel, account), start, ack_wait)
            subscription = await connection.jetstream().pull_subscribe_bind(durable=name, stream=STREAM)
            while not stop.is_set():
                await _next(subscription, reader, wait)
        except Stopped:
            raise
        except Exception as error:
            if connection.is_closed:
                raise Stopped("the connection is closed: connect with max_reconnect_attempts=-1, then follow again") from error
            reader.trouble(error, f"reading {STREAM} as {name} failed, next try in 1 s")
            await reader.pause(1)
        finally:
            if subscription and not connection.is_closed:
                await subscription.unsubscribe()


async def _make(connection: Client, name: str, wanted: str, start: str, ack_wait: float) -> float:
    """Takes the consumer of that name, or makes it; its ack wait. The stream is not asked for: a subscriber may not."""
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
    from nats.js.errors import NotFoundError

    context = connection.jetstream()
    config = ConsumerConfig(
        name=name,
        durable_name=name,
        filter_subject=wanted,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait,
        deliver_policy=DeliverPolicy.NEW if start == "new" else DeliverPolicy.ALL,
        # Order: while one event is in somebody's hands, nothing behind it is handed out, whoever dies meanwhile.
        max_ack_pending=1,
    )
    try:
        info = await context.consumer_info(STREAM, name)
    except NotFoundError as error:
        if error.err_code != 10014:  # The stream is not there.
            raise
        info = await context.add_consumer(STREAM, config)
    has = info.config
    if has.filter_subject != wanted or has.max_ack_pending != 1 or has.ack_policy != AckPolicy.EXPLICIT:
        raise Stopped(f"the consumer {name} reads something else or not one at a time: use another name, or have an operator delete it")
    return float(has.ack_wait or ack_wait)


async def _next(subscription: Any, reader: Reader, wait: float) -> None:
    try:
        [message] = await subscription.fetch(1, timeout=EXPIRES)
    except TimeoutError:
        return
    working = asyncio.create_task(_working(message, wait / 3))
    try:
        replay = (message.headers or {}).get("Hookline-Replay")
        is_done = await reader.read_bytes(message.data, message.metadata.sequence.stream, replay)
    finally:
        working.cancel()
    await (message.ack() if is_done else message.nak())


async def _working(message: Any, every: float) -> None:
    """Says that the message is in hand, so that it comes to nobody else while a handler takes its time."""
    while True:
        await asyncio.sleep(every)
        await message.in_progress()
