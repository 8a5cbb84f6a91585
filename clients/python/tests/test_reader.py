import asyncio
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hookline_client import Handlers, Meta, Window, account_filter, events, token
from hookline_client.reader import Reader

DAY = os.environ.get("HOOKLINE_TEST_DAY")


def event(id: str, revision: int = 0, kind: str = "message.deleted", **data: Any) -> dict[str, Any]:
    common = {"channel": "instagram", "account_id": "178", "origin": {"via": "webhook", "revision": revision}}
    envelope = {"specversion": "1.0", "source": "/instagram/178", "datacontenttype": "application/json", "time": "2026-11-21T10:00:00.123Z"}
    type = f"hookline.{kind}.v1"
    return envelope | {"id": id, "type": type, "dataschema": f"hookline:schemas/{kind}.v1.json", "data": common | {"message_id": "m"} | data}


def withdrawal(id: str, of: str) -> dict[str, Any]:
    return event(id, kind="fact.withdrawn", event_id=of, reason="superseded")


def recording() -> tuple[list[str], Handlers]:
    log: list[str] = []

    async def take(event: Any, meta: Meta) -> None:
        log.append(f"{event.id} {event.data.origin.revision}" + (f" of {meta.replay}" if meta.replay else ""))

    withdrawn = lambda event, _: log.append(f"{event.data.event_id} withdrawn")  # noqa: E731
    return log, Handlers(event=take, withdrawn=withdrawn, unknown=lambda unknown, _: log.append(unknown.reason))


def reader(handlers: Handlers, **options: Any) -> Reader:
    def trouble(error: BaseException | None, what: str) -> None:
        raise AssertionError(what) from error

    return Reader(handlers, **{"store": None, "trouble": trouble, "retry": (0.001, 0.002), "stop": asyncio.Event()} | options)


def read(all: list[Any], **options: Any) -> list[str]:
    log, handlers = recording()

    async def run() -> None:
        one = reader(handlers, **options)
        for each in all:
            assert await one.read(each, Meta(each))

    asyncio.run(run())
    return log


def test_an_event_comes_once_for_each_id_and_revision() -> None:
    assert read([event("a"), event("a"), event("a", 1), event("b"), event("a", 1)]) == ["a 0", "a 1", "b 0"]


def test_a_window_forgets_the_oldest() -> None:
    assert read([event("a"), event("b"), event("c"), event("a"), event("c")], store=Window(2)) == ["a 0", "b 0", "c 0", "a 0"]


def test_what_is_withdrawn_stays_so_whatever_revision_comes_later() -> None:
    all = [event("a"), withdrawal("w", "a"), withdrawal("w", "a"), event("a", 1), event("b")]
    assert read(all) == ["a 0", "a withdrawn", "b 0"]


def test_what_this_release_cannot_read_goes_to_its_own_handler_or_nowhere() -> None:
    stranger = event("n", kind="message.sung")
    mistyped = event("m", message_id=["a list"])
    shapeless: list[Any] = [{"id": "x"}, None, 7, "text", [], {"id": "x", "type": "t", "data": []}]
    shape = "no `id`, `type` or `data.origin.revision`"
    expected = ["unknown kind hookline.message.sung.v1", "not of its kind's shape: data.message_id", *[shape] * len(shapeless)]
    assert read([stranger, stranger, mistyped, *shapeless]) == expected
    log, handlers = recording()

    async def run() -> None:
        for body in (b"{", b"\xff\xfe", b"", b"[" * 100_000):
            assert await reader(handlers).read_bytes(body, 1, None)
        bare = reader(Handlers(event=lambda *_: pytest.fail("no event")))
        for each in (stranger, mistyped, *shapeless):
            assert await bare.read(each, Meta(each))

    asyncio.run(run())
    assert log == ["not JSON"] * 4


def test_an_event_comes_again_until_its_handler_takes_it_or_reading_ends() -> None:
    calls, troubles = 0, []

    async def run() -> None:
        stop = asyncio.Event()

        def take(*_: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == 5:
                stop.set()
            if calls != 3:
                raise OSError("the database is away")

        one = reader(Handlers(event=take), stop=stop, trouble=lambda *trouble: troubles.append(trouble))
        assert await one.read(event("a"), Meta(None))
        assert calls == 3
        assert not await one.read(event("b"), Meta(None))

    asyncio.run(run())
    assert (calls, len(troubles)) == (5, 4)


def lost(known: Any, read: Any, path: str = "") -> list[str]:
    """What of `known` is not in `read`."""
    if isinstance(known, dict):
        return [fault for name, value in known.items() for fault in (lost(value, read[name], f"{path}.{name}") if name in read else [f"{path}.{name}"])]
    if isinstance(known, list):
        return [fault for index, value in enumerate(known) for fault in lost(value, read[index], f"{path}[{index}]")]
    if known == "2026-11-21T10:00:00.123Z":
        known, read = datetime.fromisoformat(known), datetime.fromisoformat(read)
    return [] if known == read else [f"{path}: {known!r} was read as {read!r}"]


@pytest.mark.skipif(not DAY, reason="deploy/dev/clients.sh gives it")
def test_a_day_of_a_later_release_is_read_and_nothing_known_of_it_is_lost() -> None:
    lines = [json.loads(line) for line in Path(str(DAY)).read_text().splitlines()]
    got: dict[str, Any] = {}
    unknown: list[str] = []
    take = lambda event, _: got.__setitem__(event.id, event)  # noqa: E731
    handlers = Handlers(event=take, withdrawn=take, unknown=lambda stranger, _: unknown.append(stranger.reason))

    async def run() -> None:
        one = reader(handlers)
        for line in lines:
            assert await one.read_bytes(json.dumps(line["event"]).encode(), 1, None)

    asyncio.run(run())
    assert unknown == ["unknown kind hookline.message.translated.v1"]
    assert len(got) == len(lines) - 1 > 140
    for line in lines:
        if line.get("known", True) is not None:
            # As attributes, and written again: all that is known, and the new fields beside it.
            again = got[line["event"]["id"]].model_dump(mode="json", by_alias=True)
            assert lost(line["event"], again) == []
    received = got["MessageReceived-full"]
    assert isinstance(received, events.MessageReceived)
    assert (received.data.channel, received.data.origin.via, received.data.text) == ("whatsapp", "import", "text-1")


def test_subjects_are_as_the_contract_says() -> None:
    tokens = json.loads((Path(__file__).parents[2] / "testing/subjects.json").read_text())["tokens"]
    assert [token(text) for text, _ in tokens] == [expected for _, expected in tokens]
    assert account_filter("instagram", "a.b") == "inbox.v1.event.*.instagram.a%2Eb.>"
