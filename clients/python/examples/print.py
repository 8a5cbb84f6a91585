"""Prints the events of one account. NATS_URL, NATS_USER, NATS_PASSWORD, CONSUMER, CHANNEL and ACCOUNT say of which; without NATS_URL, HOOKLINE_URL
and HOOKLINE_TOKEN say where it reads by HTTP, and the position is kept in `./cursor`."""

import asyncio
import os
import signal

from hookline_client import FileCursor, Handlers, follow, follow_http

handlers = Handlers(
    event=lambda event, _: print(event.time, event.type, event.subject or ""),
    withdrawn=lambda event, _: print(event.time, event.data.event_id, "no longer holds:", event.data.reason),
    unknown=lambda unknown, _: print("skipped:", unknown.reason),
)


async def main() -> None:
    stop, given = asyncio.Event(), os.environ
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    if "NATS_URL" not in given:
        await follow_http(given["HOOKLINE_URL"], given["HOOKLINE_TOKEN"], handlers, cursor=FileCursor("cursor"), stop=stop)
        return
    import nats

    user = given["NATS_USER"]
    prefix = f"_INBOX_{user}".encode()
    connection = await nats.connect(given["NATS_URL"], user=user, password=given["NATS_PASSWORD"], inbox_prefix=prefix, max_reconnect_attempts=-1)
    await follow(connection, handlers, name=given["CONSUMER"], channel=given["CHANNEL"], account=given["ACCOUNT"], stop=stop)
    await connection.close()


asyncio.run(main())
