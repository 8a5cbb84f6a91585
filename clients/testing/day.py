#!/usr/bin/env python3
"""A day of events as a later release of the same major may publish them: `day.py FILE` writes it.

Of every kind of `schemas/json/events.v1.json` the smallest and the fullest event, with a channel and a `via` that this release does not know and
with a new field in every object; and a kind that it does not know. Each line is `{"event": …, "known": …}`: `known` is what a reader of this
release knows of it (null: nothing), and all of that has to be found in what it read. `{"event": …, "words": true}` has new words in all open lists.
"""

import copy
import json
import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parents[2] / "schemas/json/events.v1.json"
CHANNEL, VIA, FIELD = "whatsapp", "import", "said_by_a_later_release"
NEW = {"nested": [True, {"text": "Grüße 😊"}], "number": 1.5}
# All keywords that an event's schema has: with another one this script has to learn what it means.
WORDS = {"$ref", "title", "description", "examples", "type", "const", "format", "minimum", "minLength", "properties", "required", "items"}
WORDS |= {"additionalProperties", "default"}


class Examples:
    def __init__(self):
        self.bundle = json.loads(BUNDLE.read_text())

    def schema(self, schema):
        unknown = schema.keys() - WORDS
        if unknown:
            sys.exit(f"day.py does not know {sorted(unknown)} of {BUNDLE.name}: add what it means")
        return self.bundle["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def value(self, schema, name, full, word):
        """An example. `word`: what stands where a list of words is open; None: the first word of the list."""
        schema = self.schema(schema)
        kind = schema.get("type")
        if "const" in schema:
            return schema["const"]
        if kind == "object" and "properties" in schema:
            wanted = schema["properties"] if full else schema.get("required", [])
            return {field: self.value(schema["properties"][field], field, full, word) for field in wanted}
        if kind == "object":
            return {"key": self.value(schema["additionalProperties"], name, full, word)} if "additionalProperties" in schema else {"any": 1}
        if kind == "array":
            return [self.value(schema["items"], name, full, word)]
        if kind == "string":
            if schema.get("format") == "date-time":
                return "2026-11-21T10:00:00.123Z"
            return (word or schema["examples"][0]) if "examples" in schema else f"{name}-1"
        plain = {"integer": 7, "number": 1.5, "boolean": True, None: {"any": [1, "thing"]}}
        return plain[kind]

    def event(self, name, full, word=None):
        event = self.value({"$ref": f"#/$defs/{name}"}, name, full, word)
        data = event["data"]
        event["id"] = f"{name}-{'full' if full else 'small'}{'-words' if word else ''}"
        data["channel"], data["origin"]["via"], data["origin"]["revision"] = CHANNEL, VIA, 3
        event["source"] = f"/{CHANNEL}/{data['account_id']}"
        return event

    def grown(self, value, schema):
        """With a new field in every object that has named fields."""
        schema = self.schema(schema)
        if isinstance(value, dict) and "properties" in schema:
            grown = {name: self.grown(field, schema["properties"][name]) for name, field in value.items()}
            return grown | {FIELD: copy.deepcopy(NEW)}
        if isinstance(value, list):
            return [self.grown(item, schema["items"]) for item in value]
        return value


def lines():
    examples = Examples()
    for case in examples.bundle["oneOf"]:
        name = case["$ref"].rsplit("/", 1)[1]
        for full in (False, True):
            known = examples.event(name, full)
            yield {"event": examples.grown(known, case), "known": known}
        yield {"event": examples.event(name, True, "unheard_of"), "words": True}
    stranger = examples.event("MessageReceived", True)
    stranger |= {"id": "a-new-kind", "type": "hookline.message.translated.v1", "dataschema": "hookline:schemas/message.translated.v1.json"}
    yield {"event": stranger, "known": None}


def write(path):
    Path(path).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
