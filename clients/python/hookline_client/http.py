"""Reads the events of one account, or of all that the token may read, from `GET /v1/events`: for those without NATS."""

import asyncio
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .reader import Handlers, Meta, Reader, Stopped, Trouble
from .store import Store


class Cursor(Protocol):
    """Where the position is kept. Saved after what was read up to it was handled; what came after it comes again."""

    def load(self) -> int | None: ...

    def save(self, position: int) -> None: ...


class FileCursor:
    """The position in a file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(self) -> int | None:
        return int(self.path.read_text()) if self.path.exists() else None

    def save(self, position: int) -> None:
        beside = self.path.with_name(self.path.name + ".new")
        with open(beside, "w") as file:
            file.write(str(position))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)


class Gap(NamedTuple):
    """Events older than `first` are not kept any more, and were never read."""

    after: int
    first: int


class _Later(Exception):
    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


async def follow_http(
    url: str,
    token: str,
    handlers: Handlers,
    *,
    cursor: Cursor,
    channel: str | None = None,
    account: str | None = None,
    kinds: list[str] | None = None,
    limit: int = 100,
    wait: int = 20,
    gap: Callable[[Gap], None] | None = None,
    stop: asyncio.Event | None = None,
    store: Store | None = None,
    trouble: Trouble | None = None,
    retry: tuple[float, float] = (0.5, 30.0),
) -> None:
    """Hands every event to `handlers`, one at a time, in the order of the log, until `stop` is set. Raises `Stopped` when nothing more can come;
    everything else is tried again.

    `url` is the origin of the api. `kinds` are names such as `message.received`; the api refuses one that it does not know. `wait` is how long, in
    seconds, it waits for the first event. `gap` is called when events are not kept any more that were never read: trouble unless given. The other
    parameters are those of `follow`.
    """
    stop = stop or asyncio.Event()
    reader = Reader(handlers, store=store, trouble=trouble, retry=retry, stop=stop)
    lost = gap or (lambda gap: reader.trouble(None, f"events between {gap.after} and {gap.first} are not kept any more"))
    query = {"limit": str(limit), "wait": f"{wait}s", "channel": channel, "account_id": account, "kinds": kinds and ",".join(kinds)}
    after = cursor.load()
    while not stop.is_set():
        asked = {name: value for name, value in {**query, "after": after}.items() if value is not None}
        address = urllib.parse.urljoin(url, f"/v1/events?{urllib.parse.urlencode(asked)}")
        try:
            page = await _until(stop, lambda: _get(address, token, wait + 30.0))
            if page is None:
                return
            if "gap" in page:
                lost(Gap(page["gap"]["after"], page["gap"]["first"]))
            for event in page["events"]:
                if not await reader.read(event, Meta(event)):
                    return
            if page["next"] != after:
                cursor.save(page["next"])
            after = page["next"]
        except Stopped:
            raise
        except Exception as error:
            reader.trouble(error, "reading /v1/events failed, next try follows")
            await reader.pause(error.seconds if isinstance(error, _Later) else 1)


async def _until(stop: asyncio.Event, work: Callable[[], Any]) -> Any:
    """What `work` gives, in a thread of its own; None once `stop` is set: the thread is left to its time-out and keeps no process alive."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: Exception | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error else answer.set_result(value)

    def run() -> None:
        value, fault = None, None
        try:
            value = work()
        except Exception as error:
            fault = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, fault)

    threading.Thread(target=run, daemon=True).start()
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({answer, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return await answer if answer.done() else None


def _get(address: str, token: str, timeout: float) -> Any:
    request = urllib.request.Request(address, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        said = f"{error.code} of /v1/events: {error.read(500).decode(errors='replace')}"
        if error.code == 409:
            raise Stopped(f"{said}. The log was made anew: what is stored stays; follow again with an empty cursor") from None
        if error.code < 500 and error.code != 429:
            raise Stopped(said) from None
        try:
            seconds = float(error.headers.get("retry-after") or 1)
        except ValueError:
            seconds = 1
        raise _Later(said, seconds) from None
