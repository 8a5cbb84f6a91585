#!/usr/bin/env python3
"""Kills a reader again and again, and its broker once, and compares what it handled with what was published: `soak.py COMMAND…`.

COMMAND is started with HOOKLINE_SOAK_NATS and HOOKLINE_SOAK_OUT. It follows the example subscriber's account with an ack wait of 500 ms, appends
`<id> <revision> <conversation>` to that file for each event, withdrawal and unknown kind that is handed to it, and ends with 0 on SIGTERM.
The file is its store, too: what stands there when it starts is not handled again. So nothing may stand there twice, or be missing.
HOOKLINE_SOAK_EVENTS and HOOKLINE_SOAK_KILLS set how many; the defaults take some 15 seconds.
"""

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from broker import ACCOUNT, CHANNEL, Broker
from day import Examples

EVENTS = int(os.environ.get("HOOKLINE_SOAK_EVENTS", 3_000))
KILLS = int(os.environ.get("HOOKLINE_SOAK_KILLS", 15))
CONVERSATIONS = 25
CONTENT_TYPE = {"Content-Type": "application/cloudevents+json"}


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) % 2**32
    return value


def published(rng):
    """(subject, message id, headers, event): messages, among them later revisions, withdrawals, kinds nobody knows, and repetitions of a replay."""
    examples = Examples()
    templates = {name: json.dumps(examples.event(name, False)) for name in ("MessageReceived", "FactWithdrawn")}
    sent, revisions = [], {}
    for number in range(EVENTS):
        chance = rng.random()
        contact = f"52000000000000{rng.randrange(CONVERSATIONS):02}"
        event, headers, revision = None, dict(CONTENT_TYPE), 0
        if chance < 0.05 and sent:
            event, job = rng.choice(sent)[-1], f"job-{number}"
            contact = event["data"]["contact_id"]
            headers |= {"Hookline-Replay": job, "Nats-Msg-Id": f"{event['id']}.{job}"}
        else:
            event = json.loads(templates["FactWithdrawn" if chance > 0.95 else "MessageReceived"])
            event["id"] = f"event-{number}"
            if chance < 0.15 and sent:
                former = rng.choice(sent)[-1]
                event["id"], contact = former["id"], former["data"]["contact_id"]
                revision = 1 + revisions[event["id"]]
                event["type"] = former["type"]
            elif chance < 0.2:
                event["type"] = "hookline.message.translated.v1"
            event["data"] |= {"channel": CHANNEL, "account_id": ACCOUNT, "contact_id": contact, "conversation_id": f"conversation-{contact}"}
            event["data"]["origin"]["revision"] = revisions[event["id"]] = revision
            if event["type"] == "hookline.fact.withdrawn.v1":
                event["data"]["event_id"] = f"withdrawn-{number}"
            headers["Nats-Msg-Id"] = f"{event['id']}.r{revision}" if revision else event["id"]
        kind = event["type"].removeprefix("hookline.").removesuffix(".v1").replace(".", "-")
        partition = fnv1a(f"{CHANNEL}/{ACCOUNT}/{contact}") % 64
        sent.append((f"inbox.v1.event.{partition:02}.{CHANNEL}.{ACCOUNT}.{kind}", headers, event))
    subject, headers, event = sent[-1]
    final = json.loads(json.dumps(event)) | {"id": "the-last"}
    return [*sent, (subject, headers | {"Nats-Msg-Id": "the-last"}, final)]


def key(event):
    return event["id"], event["data"]["origin"]["revision"]


def digest(keys):
    return hashlib.sha256("\n".join(f"{id} {revision}" for id, revision in sorted(keys)).encode()).hexdigest()


class Reading:
    """The process under test."""

    def __init__(self, command, environment, log):
        self.command, self.environment, self.log, self.process = command, environment, log, None

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=self.log, stderr=self.log)

    def kill(self):
        assert self.process.poll() is None, f"the reader ended by itself with {self.process.returncode}"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(15)


class Handled:
    """What was appended; a line that a kill cut short was not handled."""

    def __init__(self, path):
        self.path, self.lines, self.keys, self.read = path, [], set(), 0

    def all(self):
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self.read)
                *whole, _ = file.read().split(b"\n")
            self.read += sum(len(line) + 1 for line in whole)
            for line in whole:
                id, revision, conversation = line.decode().split(" ")
                self.lines.append((id, int(revision), conversation))
                self.keys.add((id, int(revision)))
        return self

    def has(self, wanted):
        return len(self.all().keys) >= len(wanted) and self.keys >= wanted


async def publish(broker, events):
    worker = await broker.connect("worker")
    stream = worker.jetstream()
    for subject, headers, event in events:
        payload = json.dumps(event, ensure_ascii=False).encode()
        while True:
            try:
                await stream.publish(subject, payload, headers=headers, timeout=2)
                break
            except Exception:  # The broker is being killed: the same id again.
                await asyncio.sleep(0.1)
    await worker.close()


async def soak(command, folder):
    rng = random.Random(int(os.environ.get("HOOKLINE_SOAK_SEED", 1)))
    *events, last = published(rng)
    broker = Broker(folder)
    broker.start()
    await broker.make_stream()
    wanted = {key(event) for *_, event in events}
    out, log = Handled(Path(folder) / "handled"), open(Path(folder) / "reader.log", "ab")
    reading = Reading(command, os.environ | {"HOOKLINE_SOAK_NATS": broker.url, "HOOKLINE_SOAK_OUT": str(out.path)}, log)
    try:
        reading.start()
        publishing = asyncio.create_task(publish(broker, events))
        for kill in range(KILLS):
            before, deadline = len(out.all().lines), time.monotonic() + 20
            while len(out.all().lines) <= before and not (publishing.done() and out.has(wanted)):
                if deadline < time.monotonic():
                    return [f"nothing was handled in 20 s, after {before} events and {kill} kills"]
                await asyncio.sleep(0.02)
            await asyncio.sleep(rng.uniform(0, 0.2))
            if kill == KILLS // 2:
                broker.kill()
                await asyncio.sleep(0.2)
                broker.start()
            reading.kill()
            reading.start()
        await publishing
        # What comes last is read by a process that nobody kills.
        await publish(broker, [last])
        seen, deadline = 0, time.monotonic() + 20
        while not out.has(wanted | {key(last[-1])}) and time.monotonic() < deadline:
            if seen < len(out.lines):
                seen, deadline = len(out.lines), time.monotonic() + 20
            await asyncio.sleep(0.1)
        code = reading.stop()
        return judge([*events, last], out.all().lines, code)
    finally:
        if reading.process.poll() is None:
            reading.kill()
        broker.kill()


def by_conversation(pairs):
    """Of (conversation, key): each key once, where it came first, in the order of its conversation."""
    order, seen = {}, set()
    for conversation, one in pairs:
        if one not in seen:
            order.setdefault(conversation, []).append(one)
            seen.add(one)
    return order


def judge(events, lines, code):
    faults = []
    wanted, got = {key(event) for *_, event in events}, {(id, revision) for id, revision, _ in lines}
    if digest(got) != digest(wanted):
        faults.append(f"{len(wanted - got)} events are missing, {len(got - wanted)} are strange")
    order = by_conversation((event["data"]["conversation_id"], key(event)) for *_, event in events)
    handled = by_conversation((conversation, (id, revision)) for id, revision, conversation in lines)
    faults += [f"conversation {name} is out of order" for name in order if handled.get(name) != order[name]]
    twice = len(lines) - len(got)
    if twice:
        faults.append(f"{twice} were handled twice, although the store had them")
    if code != 0:
        faults.append(f"the reader ended with {code} on SIGTERM")
    print(f"soak: {len(events)} published, {len(wanted)} of them different, {KILLS} kills, the broker killed once, digest {digest(wanted)[:12]}")
    return faults


def main(command):
    if not command:
        sys.exit(__doc__)
    # So that the server ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="hookline-soak-") as folder:
        faults = asyncio.run(soak(command, folder))
        if faults:
            print("\n".join(faults), file=sys.stderr)
            print((Path(folder) / "reader.log").read_text()[-4_000:], file=sys.stderr)
            sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
