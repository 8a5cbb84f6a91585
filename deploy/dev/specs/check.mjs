// Checks the published descriptions: `node check.mjs ROOT`, with the programs of ROOT/.dev/specs (specs.sh).
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = process.argv[2];
const here = dirname(fileURLToPath(import.meta.url));
const home = join(root, ".dev/specs");
const require = createRequire(join(home, "package.json"));

const findings = [];
const find = (program, where, what) => findings.push(`${program}: ${where}: ${what}`);
const read = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
const names = (folder) => readdirSync(join(root, folder)).filter((name) => name.endsWith(".json"));

// A program's findings as JSON; it ends with 1 where it has some.
function run(program, args) {
  const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
  const ended = spawnSync(process.execPath, [join(home, "node_modules", program), ...args], { encoding: "utf8", env, maxBuffer: 1 << 28 });
  try {
    return JSON.parse(ended.stdout);
  } catch {
    throw new Error(`${program} answered with no JSON: ${ended.stdout}${ended.stderr}`);
  }
}

// A route that only redirects has no 2xx.
const openapi = "console/src/api/openapi.json";
const described = read(openapi);
const NO_SUCCESS = ["operation-2xx-response", "operation-success-response"];
function hasNoSuccess(rule, path) {
  const [, route, method] = path;
  const statuses = Object.keys(described.paths[route]?.[method]?.responses ?? {});
  return NO_SUCCESS.includes(rule) && statuses.some((status) => status.startsWith("3"));
}

function redocly() {
  const args = ["lint", "--config", join(here, "redocly.yaml"), "--format", "json", "--max-problems", "1000", join(root, openapi)];
  for (const { ruleId, message, location } of run("@redocly/cli/bin/cli.js", args).problems) {
    const pointer = location[0].pointer ?? "";
    const path = pointer.replace(/^#\//, "").split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (!hasNoSuccess(ruleId, path)) find("redocly", pointer, `${message} (${ruleId})`);
  }
}

function spectral() {
  const args = ["lint", "--ruleset", join(here, "spectral.yaml"), "--format", "json", "--quiet", join(root, openapi)];
  for (const { code, message, path } of run("@stoplight/spectral-cli/dist/index.js", args)) {
    if (!hasNoSuccess(code, path)) find("spectral", path.join("/"), `${message} (${code})`);
  }
}

async function asyncapi() {
  const { Parser, fromFile } = require("@asyncapi/parser");
  const { document, diagnostics } = await fromFile(new Parser(), join(root, "schemas/asyncapi.yaml")).parse();
  for (const { code, message, path } of diagnostics) find("asyncapi", path.join("/"), `${message} (${code})`);
  if (!document) find("asyncapi", "schemas/asyncapi.yaml", "is not read");
}

function ajv() {
  const Ajv = require("ajv/dist/2020").default;
  const addFormats = require("ajv-formats").default;
  const compiled = {};
  for (const name of names("schemas/json")) {
    // One each: a subscriber reads one file.
    const ajv = addFormats(new Ajv({ strict: true, strictTypes: true, strictTuple: true, allErrors: true }));
    try {
      compiled[name] = ajv.compile(read(`schemas/json/${name}`));
    } catch (error) {
      find("ajv", `schemas/json/${name}`, error.message);
    }
  }
  const hold = (path, schema) => {
    const validate = compiled[schema];
    if (validate && !validate(read(path))) find("ajv", path, `${schema}: ${JSON.stringify(validate.errors)}`);
  };
  for (const name of names("schemas/goldens/events")) {
    hold(`schemas/goldens/events/${name}`, "events.v1.json");
    hold(`schemas/goldens/events/${name}`, name.replace(/\.\w+\.json$/, ".v1.json"));
  }
  for (const name of names("schemas/goldens/commands")) {
    hold(`schemas/goldens/commands/${name}`, "commands.v1.json");
    hold(`schemas/goldens/commands/${name}`, "command.v1.json");
  }
}

redocly();
spectral();
await asyncapi();
ajv();
for (const finding of findings) console.error(finding);
if (findings.length) {
  console.error(`${findings.length} findings`);
  process.exit(1);
}
console.error("specs: redocly, spectral, asyncapi and ajv have no findings");
