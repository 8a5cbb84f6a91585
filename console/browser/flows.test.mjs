// What people do, by keyboard, and what must never happen to them.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { conversations, dead, held, messages, times, unknown } from "./data.mjs";
import { start, until } from "./harness.mjs";
import { Api, problem } from "./server.mjs";

let browser;
before(async () => (browser = await start()));
after(() => browser?.stop());

const [first, second] = conversations();
const thread = `#/inbox/${first.id}`;
const posts = (api) => api.asked.filter(({ method, path }) => method === "POST" && path.endsWith("/messages"));

test("a person is answered by keyboard alone, and the focus goes along", async () => {
  const { page, api, faults, close } = await browser.open("#/inbox");
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  const rows = page.locator("a[data-row]");
  await rows.first().waitFor();
  await until("the list is reached by Tab", async () => {
    await page.keyboard.press("Tab");
    return page.evaluate(() => document.activeElement?.hasAttribute("data-row"));
  });
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  const heading = page.getByRole("heading", { name: first.contact.name });
  await until("focus is on the heading", () => heading.evaluate((one) => one === document.activeElement));
  assert.equal(await page.title(), "Conversation · hookline");
  await page.keyboard.press("r");
  await page.keyboard.type("Yes, n and i and ? are only letters here");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Queued", { exact: true }).waitFor();
  const [sent] = api.sent.values();
  assert.equal(sent.text, "Yes, n and i and ? are only letters here");
  // The outcome comes by an event, without a word of reload.
  sent.status = "sent";
  api.messages = [{ ...messages()[1], id: "msg_9999", message_id: "m_9999", direction: "outbound", text: sent.text, sent_at: times.at(0), sent_by: "api", reply_id: sent.reply_id }, ...api.messages];
  api.event("reply.sent", { conversation_id: first.id, reply_id: sent.reply_id });
  await page.getByText("sent here").last().waitFor();
  await until("it is there once", async () => (await page.getByText(sent.text).count()) === 1);
  await page.keyboard.press("Escape");
  await page.keyboard.press("n");
  await page.getByRole("heading", { name: second.contact.name }).waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("a lost answer is asked for again with the same key and words, and is one send", async () => {
  let silent = true;
  const api = new Api();
  api.on("POST", /\/messages$/, ({ key, body }) => {
    const taken = api.send(key, body);
    return silent ? "silence" : taken;
  });
  const { page, close } = await browser.open(thread, { api });
  const field = page.getByRole("textbox", { name: "Answer" });
  await field.fill("It ships tomorrow");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("It is not known whether this was taken").waitFor();
  assert.equal(await field.getAttribute("readonly"), "", "its words cannot be changed");
  assert.equal(await field.inputValue(), "It ships tomorrow");
  // Going away and coming back changes nothing.
  await page.evaluate((hash) => (location.hash = hash), `#/inbox/${second.id}`);
  await page.getByRole("heading", { name: second.contact.name }).waitFor();
  await page.evaluate((hash) => (location.hash = hash), thread);
  silent = false;
  await page.getByRole("button", { name: "Ask what became of it" }).click();
  await page.getByText("Queued", { exact: true }).waitFor();
  assert.equal(api.sent.size, 1);
  assert.equal(new Set(posts(api).map(({ key, body }) => `${key} ${body.text}`)).size, 1);
  assert(posts(api).length > 1);
  [...api.sent.values()][0].status = "unknown";
  api.event("reply.unknown", { conversation_id: first.id, reply_id: "rpl_0" });
  await page.getByText("Do not send it again").waitFor();
  assert.equal(await page.getByRole("button", { name: /again|resend|retry|anew/i }).count(), 0);
  await close();
});

test("what is refused keeps its words, and what is newer is shown", async () => {
  const api = new Api().on("POST", /\/messages$/, problem(409, "overtaken"));
  const { page, close } = await browser.open(thread, { api });
  const field = page.getByRole("textbox", { name: "Answer" });
  await field.fill("My words");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("alert").getByText("Something newer came").waitFor();
  assert.equal(await field.inputValue(), "My words");
  api.messages = [{ ...messages()[0], id: "msg_9000", message_id: "m_9000", text: "Never mind!", sent_at: times.at(0) }, ...api.messages];
  api.event("message.received", { conversation_id: first.id, message_id: "m_9000" });
  await page.locator("article").getByText("Never mind!").waitFor();
  // Another answer is another request.
  await field.fill("Other words");
  await page.keyboard.press("Control+Enter");
  await until("a second request", () => posts(api).length === 2);
  assert.equal(new Set(posts(api).map(({ key }) => key)).size, 2);
  await close();
});

test("a closed window says so before a word is written, and human agent is a choice", async () => {
  const closed = conversations()[3];
  const { page, api, close } = await browser.open(`#/inbox/${closed.id}`);
  await page.getByText("The 24 hours are over").waitFor();
  const field = page.getByRole("textbox", { name: "Answer" });
  await field.fill("Sorry for the wait");
  const send = page.getByRole("button", { name: "Send", exact: true });
  assert(await send.isDisabled());
  await page.keyboard.press("Control+Enter");
  await page.getByRole("checkbox", { name: /I am a person/ }).check();
  await send.click();
  await until("it is sent", () => posts(api).length === 1);
  assert.equal(posts(api)[0].body.tag, "HUMAN_AGENT");
  await page.evaluate((hash) => (location.hash = hash), `#/inbox/${conversations()[5].id}`);
  await page.getByText("The window is closed").waitFor();
  await close();
});

test("long text is shown in its parts, and drafts stay with their conversation", async () => {
  const { page, close } = await browser.open(thread);
  const field = page.getByRole("textbox", { name: "Answer" });
  await field.fill("word ".repeat(300));
  await page.getByRole("button", { name: "Send 2 messages" }).waitFor();
  await page.evaluate((hash) => (location.hash = hash), `#/inbox/${second.id}`);
  await page.getByRole("heading", { name: second.contact.name }).waitFor();
  assert.equal(await field.inputValue(), "");
  await page.evaluate((hash) => (location.hash = hash), thread);
  await page.getByRole("button", { name: "Send 2 messages" }).waitFor();
  await close();
});

test("an unsent message is gone at once, also when an answer that was under way still has its words", async () => {
  const api = new Api();
  const { page, close } = await browser.open(thread, { api });
  await page.getByText("Hello, I saw your ad").waitFor();
  await until("the stream is open", () => api.live.size === 1);
  // An answer that was under way has the words still.
  let late;
  api.on("GET", /\/messages$/, () => (late = { messages: messages(), next_cursor: null }));
  const began = Date.now();
  api.event("message.deleted", { conversation_id: first.id, message_id: "m_1" });
  await page.getByText("Hello, I saw your ad").waitFor({ state: "detached" });
  // A second, and what a busy machine needs.
  assert(Date.now() - began < 5000, `${Date.now() - began} ms`);
  await until("the rows are read again", () => late);
  await page.waitForTimeout(300);
  assert.equal(await page.getByText("Hello, I saw your ad").count(), 0);
  await close();
});

test("rows never move by themselves, and after an interruption the screen equals a fresh read", async () => {
  const api = new Api();
  const { page, close } = await browser.open("#/inbox", { api });
  const names = () => page.locator("a[data-row] .name").allInnerTexts();
  await page.locator("a[data-row]").nth(5).waitFor();
  await until("the stream is open", () => api.live.size === 1);
  const shown = await names();
  const fresh = { ...conversations()[0], id: "cnv_new", contact: { ...first.contact, name: "Somebody New" }, window_expires_at: times.at(5) };
  api.conversations = [fresh, ...api.conversations];
  api.event("message.received", { conversation_id: "cnv_new", message_id: "x" });
  const pill = page.getByRole("button", { name: "Show what is new" });
  await pill.waitFor();
  assert.deepEqual(await names(), shown);
  await pill.click();
  await until("it is on top", async () => (await names())[0] === "Somebody New");
  // Interrupted: what happens meanwhile is in no event.
  api.cut();
  api.conversations = api.conversations.map((row) => (row.id === first.id ? { ...row, unread_count: 77 } : row));
  await page.locator(`a[data-row="${first.id}"]`).getByText("77").waitFor();
  const streams = api.asked.filter(({ path }) => path === "/v1/live");
  assert.equal(streams.at(-1).last, "1", "it goes on after the last event");
  await close();
});

test("nothing that people write is executed, or leaves the page's own text", async () => {
  const canary = "kanarienvogel";
  const corpus = ["<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "\"><svg onload=alert(1)>", "javascript:alert(1)", "{{constructor.constructor('alert(1)')()}}", "${alert(1)}", "<iframe srcdoc='<script>parent.alert(1)</script>'>", "' onfocus=alert(1) autofocus='", "&lt;img src=x onerror=alert(1)&gt;", "\u202egnp.exe", "<a href=javascript:alert(1)>x</a>", "<base href=//evil.example>", "<form action=//evil.example><button>"];
  const api = new Api();
  const evil = Array.from({ length: 500 }, (_, at) => `${canary} ${corpus[at % corpus.length]} ${at}`);
  api.conversations = evil.slice(0, 100).map((text, at) => ({ ...conversations()[0], id: `cnv_${at}`, contact: { ...first.contact, id: String(at), name: text }, last_message: { ...first.last_message, text } }));
  api.messages = evil.map((text, at) => ({ ...messages()[0], id: `msg_${at}`, message_id: `m_${at}`, text, attachments: [{ type: "file", url: "javascript:alert(1)", title: text }], referral: { source: text, ref: text }, reactions: [{ emoji: text }] }));
  const { page, faults, lines, close } = await browser.open("#/inbox/cnv_1", { api });
  await page.locator("article").last().waitFor();
  const log = page.getByRole("log");
  for (let at = 0; at < 12; at += 1) {
    await log.evaluate((one, part) => (one.scrollTop = part * one.scrollHeight), at / 12);
    await page.waitForTimeout(60);
    const links = await page.evaluate(() => [...document.querySelectorAll("a")].map((one) => one.protocol).filter((one) => !/^https?:$/.test(one)));
    assert.deepEqual(links, []);
  }
  assert.equal(await page.locator("main img, main script, main iframe, main base, main form[action]").count(), 0);
  const kept = await page.evaluate(() => JSON.stringify([location.href, document.title, { ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert(!kept.includes(canary), kept);
  assert(!lines.join().includes(canary));
  assert(!api.asked.some(({ path, query }) => `${path}${query}`.includes(canary)));
  assert.deepEqual(faults, []);
  await close();
});

test("a search stands in no address", async () => {
  const { page, api, close } = await browser.open("#/search");
  await page.getByRole("searchbox").fill("kanarienvogel");
  await page.keyboard.press("Enter");
  await page.locator("a[data-row]").first().waitFor();
  assert(!page.url().includes("kanarienvogel"));
  assert(!(await page.title()).includes("kanarienvogel"));
  assert(api.asked.some(({ query }) => query.includes("q=kanarienvogel")));
  await close();
});

test("long lists stay small in the page", async () => {
  const api = new Api();
  const many = Array.from({ length: 10_000 }, (_, at) => ({ ...conversations()[at % 6], id: `cnv_${at}`, last_message_at: times.at(-at / 100) }));
  api.conversations = many;
  api.on("GET", /^\/v1\/conversations$/, ({ query }) => {
    const from = Number(query.get("cursor") ?? 0);
    const to = from + Number(query.get("limit"));
    return { conversations: many.slice(from, to), total: 10_000, total_is_lower_bound: true, next_cursor: String(to) };
  });
  const page50 = Array.from({ length: 50 }, (_, at) => at);
  api.on("GET", /\/messages$/, ({ query }) => {
    const from = Number(query.get("cursor") ?? 0);
    const rows = page50.map((at) => ({ ...messages()[0], id: `msg_${String(100_000 - from - at)}`, message_id: `m_${from + at}`, text: `number ${50_000 - from - at}`, sent_at: times.at(-(from + at)) }));
    return { messages: rows, next_cursor: String(from + 50) };
  });
  const { page, close } = await browser.open("#/inbox/cnv_0", { api });
  const log = page.getByRole("log");
  await log.getByText("number 50000", { exact: true }).waitFor();
  const pages = () => new Set(api.asked.filter(({ path }) => path.endsWith("/messages")).map(({ query }) => query)).size;
  for (const wanted of [2, 3, 4]) {
    await until(`page ${wanted}`, async () => {
      if (pages() < wanted) await log.evaluate((one) => (one.scrollTop = 0));
      return pages() >= wanted;
    });
    // What somebody reads stays where it is while older ones come above it.
    await until("the place is kept", () => log.evaluate((one) => one.scrollTop > 400));
  }
  const policies = api.asked.filter(({ path }) => path.endsWith("/policy")).length;
  assert(policies <= 2, `the policy was asked for ${policies} times`);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  assert(nodes < 900, `${nodes} nodes`);
  await close();
});

test("an unknown send is settled with a reason, a held one is cancelled, and events that come together are one read", async () => {
  const api = new Api().on("POST", /^\/v1\/replies\/.+\/resolve$/, {}).on("DELETE", /^\/v1\/replies\/[^/]+$/, {});
  const { page, faults, close } = await browser.open("#/unknown", { api });
  await page.getByRole("button", { name: "It was not sent…" }).click();
  await page.getByLabel("How do you know?").fill(" not in the thread ");
  await page.getByRole("button", { name: "Record as not sent" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Cancel it…" }).click();
  await page.getByRole("button", { name: "Cancel it", exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const acts = api.asked.filter(({ method, path }) => method !== "GET" && path.startsWith("/v1/replies/"));
  const [of] = unknown();
  const query = `channel=instagram&account_id=${of.account_id}`;
  assert.deepEqual(
    acts.map((act) => [act.method, act.path, act.query, act.body]),
    [
      ["POST", `/v1/replies/${of.reply_id}/resolve`, query, { as: "not_sent", reason: "not in the thread" }],
      ["DELETE", `/v1/replies/${held()[0].reply_id}`, query, undefined],
    ],
  );
  const lists = () => api.asked.filter(({ path }) => path === "/v1/replies").length;
  await until("the stream is open", () => api.live.size === 1);
  await page.waitForTimeout(500);
  const before = lists();
  for (let at = 0; at < 5; at += 1) api.event("reply.sent", { conversation_id: first.id, reply_id: `rpl_${at}` });
  await until("both lists are read", () => lists() === before + 2);
  await page.waitForTimeout(500);
  assert.equal(lists(), before + 2);
  assert.deepEqual(faults, []);
  await close();
});

test("a redrive names its plan, once the count is typed, and a list that is cut says so", async () => {
  const api = new Api().on("GET", /^\/v1\/ops\/dead$/, { normalize: dead, project: [], next_cursor: "more" });
  const { page, faults, close } = await browser.open("#/dead", { api });
  await page.getByText("there are more").waitFor();
  await page.getByRole("button", { name: "Redrive…" }).click();
  await page.getByLabel("Reason").fill(" field is known now ");
  const go = page.getByRole("button", { name: "Redrive", exact: true });
  await page.getByLabel("Type 12 to go on").fill("11");
  assert(await go.isDisabled());
  await page.keyboard.press("Enter");
  await page.getByLabel("Type 12 to go on").fill("12");
  await go.click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const runs = api.asked.filter(({ path, query }) => path === "/v1/ops/redrive/run" && query === "");
  assert.deepEqual(runs.map(({ body }) => body), [{ plan_id: "p1", reason: "field is known now" }]);
  const plans = api.asked.filter(({ path, query }) => path === "/v1/ops/redrive/run" && query !== "");
  assert.deepEqual(plans.map(({ body }) => body), [{ cause: dead[0].cause, stage: "normalize" }]);
  assert.deepEqual(faults, []);
  await close();
});

test("a one-time link is out of the address at once, and signs in", async () => {
  let opened = false;
  const api = new Api();
  api.on("POST", /^\/session\/link$/, ({ body }) => ((opened = body === "code=abc123"), {}));
  const { page, close } = await browser.open("#session=abc123", { api });
  await page.getByRole("heading", { name: "Inbox" }).waitFor();
  assert(opened);
  assert(!page.url().includes("abc123"));
  await close();
});

test("the script is at most 150 KB", () => {
  const dist = new URL("../dist/assets/", import.meta.url);
  const scripts = readdirSync(dist).filter((name) => name.endsWith(".js"));
  const size = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, dist))).length, 0);
  assert(scripts.length > 0 && size <= 150_000, `${size} bytes`);
});
