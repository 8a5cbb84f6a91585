// Sessions that begin, end and change under what somebody writes.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { conversations } from "./data.mjs";
import { start, until } from "./harness.mjs";
import { Api, problem } from "./server.mjs";

let browser;
before(async () => (browser = await start()));
after(() => browser?.stop());

const thread = `#/inbox/${conversations()[0].id}`;
const go = (page, hash) => page.evaluate((to) => (location.hash = to), hash);
const posts = (api, end) => api.asked.filter(({ method, path }) => method === "POST" && path.endsWith(end));
const over = problem(401, "unauthorized");

/** An api that takes what is sent and gives no answer, until `state.silent` is false; `state.over`: the session is. */
function silentApi(pattern, taken) {
  const state = { silent: true, over: false };
  const api = new Api();
  const guarded = (answer) => (asked, ...rest) => (state.over ? over : answer(asked, ...rest));
  api.on("POST", pattern, guarded(({ key, body }) => (taken(api, key, body), state.silent ? "silence" : taken(api, key, body))));
  api.on("GET", /^\/v1\/accounts$/, guarded(() => ({ accounts: [], total: 0, next_cursor: null })));
  api.on("POST", /^\/session$/, () => ((state.over = false), {}));
  return { api, state };
}

async function signIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("what is unclear stays so when the session ends, and is asked for by whoever sent it alone", async () => {
  const { api, state } = silentApi(/\/messages$/, (at, key, body) => at.send(key, body));
  state.over = true;
  const { page, close } = await browser.open(thread, { api });
  await signIn(page, "token-a");
  const field = page.getByRole("textbox", { name: "Answer" });
  await field.fill("It ships tomorrow");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  const ask = page.getByRole("button", { name: "Ask what became of it" });
  await ask.waitFor();
  state.silent = false;
  state.over = true;
  await ask.click();
  // Another identity: the api would carry the same key out once more.
  await signIn(page, "token-b");
  await page.getByText("under another sign-in").waitFor();
  assert.equal(await ask.count(), 0);
  const asked = posts(api, "/messages").length;
  await field.press("Control+Enter");
  state.over = true;
  api.on("GET", /^\/v1\/live$/, () => (state.over ? over : "later"));
  api.cut();
  await signIn(page, "token-a");
  await ask.click();
  await page.getByText("Queued", { exact: true }).waitFor();
  assert.equal(posts(api, "/messages").length, asked + 1);
  assert.equal(new Set(posts(api, "/messages").map(({ key }) => key)).size, 1);
  assert.equal(api.sent.size, 1);
  await close();
});

test("an answer that is not the api's leaves it open whether the message was taken", async () => {
  const api = new Api().on("POST", /\/messages$/, () => undefined);
  const { page, faults, close } = await browser.open(thread, { api });
  await page.getByRole("textbox", { name: "Answer" }).fill("It ships tomorrow");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByRole("button", { name: "Ask what became of it" }).waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("a reply is looked at by one timer, and one of unknown outcome by none", async () => {
  const api = new Api();
  const { page, close } = await browser.open(thread, { api });
  await page.getByRole("textbox", { name: "Answer" }).fill("It ships tomorrow");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("Queued", { exact: true }).waitFor();
  await until("the stream is open", () => api.live.size === 1);
  [...api.sent.values()][0].status = "unknown";
  const looks = () => api.asked.filter(({ path }) => path === "/v1/replies/rpl_0").length;
  for (let at = 0; at < 5; at += 1) api.event("reply.unknown", { conversation_id: "cnv_other", reply_id: "rpl_0" });
  await page.getByText("Do not send it again").waitFor();
  await page.waitForTimeout(1000);
  const before = looks();
  await page.waitForTimeout(6000);
  assert.equal(looks(), before);
  await close();
});

test("an unclear answer to a comment outlives its screen, with its key", async () => {
  const done = (_, key) => ({ command: "comment_reply", command_id: `cmd_${key}`, status: "done" });
  const { api, state } = silentApi(/\/replies$/, done);
  const { page, close } = await browser.open("#/comments", { api });
  const reply = page.getByRole("button", { name: "Reply", exact: true });
  await reply.first().click();
  await page.getByLabel("Reply, for everybody").fill("It costs 40");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  const ask = page.getByRole("button", { name: "Ask what became of it" });
  await ask.waitFor();
  await go(page, "#/search");
  await page.getByRole("searchbox").waitFor();
  await go(page, "#/comments");
  assert.equal(await page.getByLabel("Reply, for everybody").inputValue(), "It costs 40");
  // Refused before the key is looked for.
  api.on("POST", /\/replies$/, () => problem(403, "insufficient_scope"));
  await ask.click();
  await page.getByRole("alert").getByText("Your token may not do this").waitFor();
  api.on("POST", /\/replies$/, ({ key }) => done(api, key));
  state.silent = false;
  await ask.click();
  await page.getByText("Done.").first().waitFor();
  assert(posts(api, "/replies").length > 2);
  assert.equal(new Set(posts(api, "/replies").map(({ key }) => key)).size, 1);
  await close();
});

test("signing out says when it did not work, and forgets what was searched for", async () => {
  let away = true;
  let out = false;
  const api = new Api();
  api.on("DELETE", /^\/session$/, () => (away ? problem(503, "unavailable") : ((out = true), {})));
  api.on("POST", /^\/session$/, () => ((out = false), {}));
  api.on("GET", /^\/v1\/accounts$/, () => (out ? over : { accounts: [], total: 0, next_cursor: null }));
  const { page, close } = await browser.open("#/search", { api });
  await page.getByRole("searchbox").fill("kanarienvogel");
  const button = page.getByRole("button", { name: "Sign out" });
  await button.click();
  await page.getByRole("alert").getByText("You are not signed out").waitFor();
  away = false;
  await Promise.all([page.waitForEvent("load"), button.click()]);
  await page.getByLabel("Token").waitFor();
  await signIn(page, "token-b");
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  await go(page, "#/search");
  assert.equal(await page.getByRole("searchbox").inputValue(), "");
  await close();
});

test("a link that is pasted into an open page signs in, also when the api answers later", async () => {
  let tries = 0;
  const api = new Api();
  api.on("GET", /^\/v1\/accounts$/, () => (tries < 2 ? over : { accounts: [], total: 0, next_cursor: null }));
  api.on("POST", /^\/session\/link$/, () => ((tries += 1), tries === 1 ? problem(503, "unavailable") : {}));
  const { page, close } = await browser.open("#/inbox", { api });
  await page.getByLabel("Token").waitFor();
  await go(page, "session=abc123");
  await until("the code is out of the address", () => !page.url().includes("abc123"));
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  assert.deepEqual(posts(api, "/session/link").map(({ body }) => body), ["code=abc123", "code=abc123"]);
  await close();
});

test("a link whose session the browser does not keep says so", async () => {
  const api = new Api().on("GET", /^\/v1\/accounts$/, () => over);
  const { page, close } = await browser.open("#session=abc123", { api });
  await page.getByText("did not keep the session").waitFor();
  await close();
});

test("a stream that is refused because the session is over asks to sign in", async () => {
  const api = new Api();
  const { page, close } = await browser.open("#/inbox", { api });
  await page.locator("a[data-row]").first().waitFor();
  await until("the stream is open", () => api.live.size === 1);
  api.on("GET", /^\/v1\/live$/, () => over);
  api.cut();
  await page.getByLabel("Token").waitFor();
  await close();
});
