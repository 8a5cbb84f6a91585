// Every screen in every state: nothing for axe to find, nothing cut off, nothing from elsewhere.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accounts, conversations } from "./data.mjs";
import { findings, small, start } from "./harness.mjs";
import { Api, problem } from "./server.mjs";

let browser;
before(async () => (browser = await start()));
after(() => browser?.stop());

const first = conversations()[0];
const SCREENS = {
  inbox: "#/inbox",
  thread: `#/inbox/${first.id}`,
  unknown: "#/unknown",
  comments: "#/comments",
  search: "#/search",
  contact: `#/contact/instagram/${accounts[0].id}/${first.contact.id}`,
  accounts: "#/accounts",
  health: "#/health",
  dead: "#/dead",
  waiting: "#/waiting",
  trace: "#/trace/evt_1",
  jobs: "#/jobs",
  audit: "#/audit",
};

/** What is wrong with a screen that is shown. */
async function wrongWith(page, name) {
  await page.waitForFunction(() => document.querySelector("main h1") && document.title !== "hookline");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const wrong = [...(await findings(page)), ...(await small(page)).map((one) => `below 24 px: ${one}`)];
  if (wide > 0) wrong.push(`${wide} px wider than the window`);
  return wrong.map((line) => `${name}: ${line}`);
}

/** Goes through screens in one page; what is wrong with any of them is shown together. `ready`: waits for the state that is meant. */
async function checkAll(names, options, ready) {
  const { page, faults, close } = await browser.open(SCREENS[names[0]] ?? names[0], options);
  const wrong = [];
  for (const name of names) {
    await page.evaluate((hash) => (location.hash = hash), SCREENS[name] ?? name);
    await ready(page, name);
    wrong.push(...(await wrongWith(page, name)));
  }
  await close();
  assert.deepEqual([...wrong, ...faults], []);
}
const check = (hash, options, ready) => checkAll([hash], options, ready);
const settled = (page) => page.waitForFunction(() => document.querySelector("main") && !document.querySelector("main")?.textContent?.includes("Reading…"));

const LOOKS = {
  light: {},
  dark: { colorScheme: "dark" },
  "320 px": { width: 320, colorScheme: "dark" },
  "forced colours": { forcedColors: "active", reducedMotion: "reduce", width: 768 },
};
for (const [look, options] of Object.entries(LOOKS)) {
  test(`every screen, ${look}`, () => checkAll(Object.keys(SCREENS), options, settled));
}

const empty = () => {
  const api = new Api();
  api.conversations = [];
  api.messages = [];
  const none = { accounts: [], comments: [], replies: [], normalize: [], project: [], waiting: [], jobs: [], audit: [], facts: [], total: 0 };
  return api.on("GET", /^\/v1\/(accounts|comments|replies|ops\/(dead|waiting|jobs|audit|trace\/.+))$/, ({}) => none);
};
test("every screen with nothing in it says what to do", async () => {
  const names = ["inbox", "unknown", "comments", "accounts", "dead", "waiting", "trace", "jobs", "audit"];
  await checkAll(names, { api: empty() }, async (page, name) => {
    await settled(page);
    const words = await page.locator("main").innerText();
    assert.match(words, /(nothing|no |nobody|every|none)/i, `${name}: ${words}`);
  });
});

const ROUTES = /^\/v1\/(conversations|comments|replies|contacts|ops|accounts\/)/;
const STATES = {
  fails: [problem(503, "unavailable"), /not reachable/],
  "is missing": [problem(404, "not_found", "no such path: /docs lists what there is"), /is not in the api of this release yet/],
  "is slow": ["later", /Reading…/],
};
for (const [state, [answer, words]] of Object.entries(STATES)) {
  test(`every screen whose route ${state}`, async () => {
    const names = Object.keys(SCREENS).filter((name) => name !== "search" && (name !== "thread" || state !== "is slow"));
    const api = new Api().on("GET", ROUTES, answer);
    await checkAll(names, { api }, (page) => page.waitForFunction((source) => new RegExp(source).test(document.querySelector("main")?.innerText ?? ""), words.source));
  });
}

test("signing in, dialogs, keys and the menu", async () => {
  const signedOut = new Api().on("GET", /^\/v1\//, problem(401, "unauthorized"));
  await check("#/inbox", { api: signedOut }, (page) => page.getByLabel("Token").waitFor());
  await check("#/inbox", { api: new Api().on("GET", /^\/v1\//, problem(401, "unauthorized")).on("POST", /^\/session$/, problem(401, "unauthorized")), width: 320 }, async (page) => {
    await page.getByLabel("Token").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
  });
  await check(SCREENS.inbox, {}, async (page) => {
    await settled(page);
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
  });
  await check(SCREENS.contact, {}, async (page) => {
    await page.getByRole("button", { name: "Block…" }).click();
    await page.getByLabel("Reason").waitFor();
  });
  await check(SCREENS.dead, { width: 320 }, async (page) => {
    await page.getByRole("button", { name: "Redrive…" }).click();
    await page.getByLabel("Type 12 to go on").waitFor();
  });
  await check(SCREENS.inbox, { width: 320 }, (page) => page.getByRole("button", { name: "Menu" }).click());
});
