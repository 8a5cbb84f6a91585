"""What is done with one event, wherever it came from: dropped, withdrawn, handed on, or handed on as unknown. Repeated until the handler has taken
it, so that nothing behind it overtakes it."""

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from . import events
from .kinds import KINDS
from .store import Store, Window

T = TypeVar("T")
Trouble = Callable[[BaseException | None, str], None]
log = logging.getLogger("hookline_client")


@dataclass(frozen=True)
class Meta:
    """What is known of an event beside what it says."""

    raw: Any
    """The event as it was published."""
    position: int | None = None
    """Over NATS, its position in the stream."""
    replay: str | None = None
    """The job that published it again. An automation does not act on such an event."""


@dataclass(frozen=True)
class Unknown:
    """An event that this release cannot read: of a kind that it does not know, or of another shape than it should have."""

    event: Any
    """What JSON was read; bytes, where it is none."""
    reason: str


@dataclass(frozen=True)
class Handlers:
    """Functions or coroutine functions. What they raise is reported, and the same event comes again."""

    event: Callable[[Any, Meta], Awaitable[None] | None]
    """A fact, as one of the models of `hookline_client.events`."""
    withdrawn: Callable[[events.FactWithdrawn, Meta], Awaitable[None] | None] | None = None
    """`event.data.event_id` no longer holds, whatever its revision."""
    unknown: Callable[[Unknown, Meta], Awaitable[None] | None] | None = None
    """Skipped where there is no such handler."""


class Stopped(Exception):
    """No retry will mend it: the message says what to do."""


def log_trouble(error: BaseException | None, what: str) -> None:
    log.warning("%s: %r", what, error)


async def _result(value: Awaitable[T] | T) -> T:
    return await value if inspect.isawaitable(value) else value


def _known(event: Any) -> tuple[str, int, str] | None:
    """`id`, `revision` and `type`, where `event` has them."""
    try:
        id, kind, revision = event["id"], event["type"], event["data"]["origin"]["revision"]
    except (KeyError, TypeError, IndexError):
        return None
    return (id, revision, kind) if isinstance(id, str) and isinstance(kind, str) and isinstance(revision, int) else None


def _model(event: Any, kind: str) -> BaseModel | str:
    """The event as its model, or why there is none."""
    if kind not in KINDS:
        return f"unknown kind {kind}"
    try:
        return KINDS[kind].model_validate(event)
    except ValidationError as error:
        # Not the error itself, which quotes what people wrote.
        return "not of its kind's shape: " + ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())


class Reader:
    def __init__(self, handlers: Handlers, *, store: Store | None, trouble: Trouble | None, retry: tuple[float, float], stop: asyncio.Event) -> None:
        self.handlers, self.store, self.trouble = handlers, store or Window(), trouble or log_trouble
        self.retry, self.stop = retry, stop

    async def pause(self, seconds: float) -> None:
        """Waits, but not longer than until `stop`."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            pass

    async def read_bytes(self, body: bytes, position: int, replay: str | None) -> bool:
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            event = body
        return await self.read(event, Meta(event, position, replay))

    async def read(self, event: Any, meta: Meta) -> bool:
        """Carries an event out, again and again until that works; False: `stop` came first, and it has to come again."""
        pause, longest = self.retry
        while not self.stop.is_set():
            try:
                await self._once(event, meta)
                return True
            except Exception as error:
                self.trouble(error, f"an event was not handled, next try in {pause} s")
            await self.pause(pause)
            pause = min(pause * 2, longest)
        return False

    async def _once(self, event: Any, meta: Meta) -> None:
        known = _known(event)
        if known is None:
            reason = "not JSON" if isinstance(event, bytes) else "no `id`, `type` or `data.origin.revision`"
            return await self._unknown(Unknown(event, reason), meta)
        id, revision, kind = known
        if await _result(self.store.has(id, revision)):
            return
        model = _model(event, kind)
        if isinstance(model, str):
            await self._unknown(Unknown(event, model), meta)
        elif isinstance(model, events.FactWithdrawn):
            if self.handlers.withdrawn:
                await _result(self.handlers.withdrawn(model, meta))
            await _result(self.store.withdraw(model.data.event_id))
        elif not await _result(self.store.is_withdrawn(id)):
            await _result(self.handlers.event(model, meta))
        await _result(self.store.add(id, revision))

    async def _unknown(self, unknown: Unknown, meta: Meta) -> None:
        if self.handlers.unknown:
            await _result(self.handlers.unknown(unknown, meta))
