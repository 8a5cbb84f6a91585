import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hookline_client import FileCursor, Gap, Handlers, Stopped, follow_http

from .test_reader import event, recording


class Api:
    """Gives these answers one after the other, then hangs; knows what it was asked."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.answers, self.asked, self.over = list(answers), [], threading.Event()  # type: ignore[var-annotated]
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.headers["authorization"] == "Bearer secret"
                answer = api.answers.pop(0) if api.answers else None
                api.asked.append({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
                if answer is None:
                    api.over.wait(30)
                    return
                status, body = answer
                self.send_response(status)
                self.send_header("retry-after", "0.01")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


async def until(holds: Any) -> None:
    deadline = asyncio.get_running_loop().time() + 20
    while not holds():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


def test_the_log_is_read_page_by_page_and_the_position_is_saved_behind_what_was_handled(tmp_path: Path) -> None:
    stranger = event("n", kind="message.sung")
    api = Api(
        (503, {}),
        (200, {"events": [event("a"), event("b"), event("a")], "next": 7}),
        (200, {"events": [], "next": 12_000_000_000_000_008}),
        (200, {"events": [stranger], "next": 12_000_000_000_000_009, "gap": {"after": 3, "first": 9}}),
    )
    log, handlers = recording()
    gaps: list[Gap] = []
    troubles: list[str] = []
    cursor = FileCursor(tmp_path / "cursor")

    async def run() -> None:
        stop = asyncio.Event()
        reading = follow_http(
            api.url, "secret", handlers, cursor=cursor, account="178", kinds=["message.deleted"], limit=3, stop=stop, gap=gaps.append,
            trouble=lambda error, what: troubles.append(f"{what}: {error}"),
        )  # fmt: skip
        task = asyncio.create_task(reading)
        await until(lambda: len(api.asked) == 5)
        stop.set()
        await asyncio.wait_for(task, 5)

    asyncio.run(run())
    api.close()
    assert log == ["a 0", "b 0", "unknown kind hookline.message.sung.v1"]
    assert cursor.load() == 12_000_000_000_000_009
    assert [query.get("after") for query in api.asked] == [None, None, "7", "12000000000000008", "12000000000000009"]
    assert api.asked[0] == {"limit": "3", "wait": "20s", "account_id": "178", "kinds": "message.deleted"}
    assert gaps == [Gap(3, 9)]
    assert len(troubles) == 1


def test_a_stop_in_the_middle_of_a_page_saves_nothing_of_it(tmp_path: Path) -> None:
    api = Api((200, {"events": [event("a"), event("b")], "next": 2}))
    cursor = FileCursor(tmp_path / "cursor")
    cursor.save(1)

    async def run() -> None:
        stop = asyncio.Event()

        def take(event: Any, _: Any) -> None:
            if event.id == "b":
                stop.set()
                raise OSError("not now")

        await follow_http(api.url, "secret", Handlers(event=take), cursor=cursor, stop=stop, trouble=lambda *_: None, retry=(0.01, 1))

    asyncio.run(run())
    api.close()
    assert cursor.load() == 1


@pytest.mark.parametrize(("status", "says"), [(409, "empty cursor"), (401, "401"), (422, "422")])
def test_what_no_retry_mends_ends_reading_and_says_what_to_do(status: int, says: str, tmp_path: Path) -> None:
    api = Api((status, {}))
    with pytest.raises(Stopped, match=says):
        asyncio.run(follow_http(api.url, "secret", Handlers(event=lambda *_: None), cursor=FileCursor(tmp_path / "cursor")))
    api.close()
