"""Checks the JSON Schemas and holds the golden messages against them: `python3 check.py schemas`."""

import json
import re
import sys
from pathlib import Path

from jsonschema import Draft202012Validator, SchemaError

root = Path(sys.argv[1])
findings: list[str] = []
validators: dict[str, Draft202012Validator] = {}


def read(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


for path in sorted((root / "json").glob("*.json")):
    schema = read(path)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        findings.append(f"{path}: {error.message}")
        continue
    validators[path.name] = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def hold(path: Path, schema: str) -> None:
    for error in validators[schema].iter_errors(read(path)) if schema in validators else ():
        findings.append(f"{path} by {schema}: {error.message}")


for path in sorted((root / "goldens/events").glob("*.json")):
    hold(path, "events.v1.json")
    hold(path, re.sub(r"\.\w+\.json$", ".v1.json", path.name))
for path in sorted((root / "goldens/commands").glob("*.json")):
    hold(path, "commands.v1.json")
    hold(path, "command.v1.json")

for finding in findings:
    print("jsonschema:", finding, file=sys.stderr)
if findings:
    sys.exit(f"{len(findings)} findings")
print("specs: jsonschema has no findings", file=sys.stderr)
