/** The rules of the house, for the console. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const LINES_MAX = 400;
const root = new URL("..", import.meta.url).pathname;
const files = ["src", "browser"]
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)))
  .filter((name) => /\.(ts|mjs|svelte|css)$/.test(name) && !name.endsWith(".d.ts"));
const read = (name: string) => readFileSync(join(root, name), "utf8");
const found = (names: string[], pattern: RegExp) => names.filter((name) => !name.endsWith("tidy.test.ts") && pattern.test(read(name)));

it("no file is too long to hold in mind", () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter((name) => read(name).split("\n").length > LINES_MAX)).toEqual([]);
});

it("what decides is pure: no clock, no network, no page, no state", () => {
  const core = files.filter((name) => name.startsWith("src/core/") && !name.endsWith(".test.ts"));
  expect(core.length).toBeGreaterThan(10);
  expect(found(core, /Date\.now\(|new Date\(\)|Math\.random|fetch\(|document\.|window\.(location|open|add)|localStorage|\$state|\$effect|from "\.\.\/state/)).toEqual([]);
});

it("nothing that people write becomes markup, and nothing is stored but one setting", () => {
  expect(found(files, /\{@html|innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function\(/)).toEqual([]);
  const stored = found(files.filter((name) => name.startsWith("src/")), /localStorage|sessionStorage|indexedDB|document\.cookie/);
  expect(stored).toEqual(["src/state/keys.svelte.ts"]);
});

it("reads aloud as a colleague would", () => {
  expect(found(files.filter((name) => name.startsWith("src/")), /\btell(s|ing)?\b|\btold\b/i)).toEqual([]);
});

it("the programs of packages run with a Node that was fetched: its npx does not", () => {
  const script = readFileSync(join(root, "../deploy/dev/console.sh"), "utf8");
  expect(script).toContain("node_modules/.bin/vitest run");
  expect(script).not.toMatch(/^\s*npx |[;|&)] *npx /m);
});
