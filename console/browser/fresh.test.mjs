// The screen equals the read model: answers that overlap, fail, or come while nobody looks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { conversations, messages, times } from "./data.mjs";
import { start, until } from "./harness.mjs";
import { Api, problem } from "./server.mjs";

let browser;
before(async () => (browser = await start()));
after(() => browser?.stop());

const [first] = conversations();
const thread = `#/inbox/${first.id}`;
/** An answer that a test gives when it wants to. */
const gate = () => {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { opened, open };
};

test("an older answer never replaces a newer one", async () => {
  const api = new Api();
  const { page, close } = await browser.open(thread, { api });
  await page.getByText("Hello, I saw your ad").waitFor();
  await until("the stream is open", () => api.live.size === 1);
  await page.waitForTimeout(400);
  // Interception turns the browser's cache off, which asks for one address once at a time; other browsers do not.
  await page.route(/messages/, (route) => route.continue());
  const slow = gate();
  let asked = 0;
  // The first answer is of the moment when it was asked for, and comes last where both are asked for at once.
  api.on("GET", /\/messages$/, async () => {
    asked += 1;
    const now = { messages: api.messages, next_cursor: null };
    if (asked === 1) await slow.opened;
    return now;
  });
  api.event("conversation.updated", { conversation_id: first.id });
  await until("it is read", () => asked >= 1);
  api.messages = [{ ...messages()[0], id: "msg_9000", message_id: "m_9000", text: "One more thing", sent_at: times.at(0) }, ...api.messages];
  api.conversations = api.conversations.map((one) => (one.id === first.id ? { ...one, unread_count: 77 } : one));
  api.on("POST", /\/read$/, 404);
  api.event("message.received", { conversation_id: first.id, message_id: "m_9000" });
  // Time for a second read beside the first, which must not be.
  await page.waitForTimeout(600);
  slow.open();
  await page.locator("article").getByText("One more thing").waitFor();
  await page.locator(`a[data-row="${first.id}"]`).getByText("77").waitFor();
  await page.waitForTimeout(300);
  assert.equal(await page.locator("article").getByText("One more thing").count(), 1);
  await close();
});

test("what could not be read is read again by itself", async () => {
  const api = new Api();
  const { page, close } = await browser.open(thread, { api });
  await page.getByText("Hello, I saw your ad").waitFor();
  await until("the stream is open", () => api.live.size === 1);
  await page.waitForTimeout(400);
  let [lists, rows] = [0, 0];
  api.on("GET", /\/messages$/, () => ((lists += 1) === 1 ? problem(503, "unavailable") : { messages: api.messages, next_cursor: null }));
  const quiet = api.conversations[4].id;
  api.on("GET", /^\/v1\/conversations\/([^/]+)$/, (_, id) => (id === quiet && (rows += 1) === 1 ? problem(503, "unavailable") : (api.conversations.find((one) => one.id === id) ?? 404)));
  api.messages = [{ ...messages()[0], id: "msg_9000", message_id: "m_9000", text: "One more thing", sent_at: times.at(0) }, ...api.messages];
  api.conversations = api.conversations.map((one) => (one.id === quiet ? { ...one, unread_count: 77 } : one));
  api.event("message.received", { conversation_id: first.id, message_id: "m_9000" });
  api.event("conversation.updated", { conversation_id: quiet });
  await page.locator("article").getByText("One more thing").waitFor();
  await page.locator(`a[data-row="${quiet}"]`).getByText("77").waitFor();
  await close();
});

test("a first list that could not be read is read again by itself", async () => {
  const api = new Api();
  let lists = 0;
  api.on("GET", /^\/v1\/conversations$/, () => {
    lists += 1;
    return lists === 1 ? problem(503, "unavailable") : { conversations: api.conversations, total: api.conversations.length, next_cursor: null };
  });
  const { page, close } = await browser.open("#/inbox", { api });
  await page.locator("a[data-row]").first().waitFor();
  assert.equal(await page.getByText("not reachable").count(), 0);
  await close();
});

test("the inbox is not read for a screen that does not show it", async () => {
  const api = new Api();
  const { page, close } = await browser.open("#/unknown", { api });
  await page.getByText("It ships tomorrow").waitFor();
  await until("the stream is open", () => api.live.size === 1);
  await page.waitForTimeout(600);
  assert.equal(api.asked.filter(({ path }) => path === "/v1/conversations").length, 0);
  await close();
});

test("a late answer does not put a settled reply back", async () => {
  const api = new Api();
  const { page, close } = await browser.open(thread, { api });
  await until("the stream is open", () => api.live.size === 1);
  // As above: without the cache, both reads are under way at once.
  await page.route(/replies/, (route) => route.continue());
  const slow = gate();
  let [asked, given] = [0, 0];
  api.on("GET", /^\/v1\/replies\/rpl_0$/, async () => {
    asked += 1;
    const now = { ...api.replies.get("rpl_0") };
    if (asked === 1) await slow.opened;
    given += 1;
    return now;
  });
  await page.getByRole("textbox", { name: "Answer" }).fill("It ships tomorrow");
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await until("it is looked at", () => asked === 1);
  api.replies.get("rpl_0").status = "failed";
  api.event("reply.failed", { conversation_id: first.id, reply_id: "rpl_0" });
  await page.getByText("Not sent", { exact: true }).waitFor();
  slow.open();
  await until("the first answer came", () => given === 2);
  await page.waitForTimeout(300);
  assert.equal(await page.getByText("Not sent", { exact: true }).count(), 1);
  assert.equal(await page.getByText("Queued", { exact: true }).count(), 0);
  await close();
});

test("a reconnect takes nothing away from the list, and says when the list is not whole", async () => {
  const api = new Api();
  const many = Array.from({ length: 3000 }, (_, at) => ({ ...conversations()[0], id: `cnv_${at}`, contact: { ...first.contact, name: `Person ${at}` }, last_message_at: times.at(-at / 100) }));
  const list = ({ query }) => {
    const from = Number(query.get("cursor") ?? 0);
    const to = from + Number(query.get("limit"));
    return { conversations: many.slice(from, to), total: 3000, next_cursor: to < 3000 ? String(to) : null };
  };
  const lists = () => api.asked.filter(({ path }) => path === "/v1/conversations");
  api.on("GET", /^\/v1\/conversations$/, list);
  const { page, close } = await browser.open("#/inbox?order=newest", { api });
  await page.locator("a[data-row]").first().waitFor();
  await until("the stream is open", () => api.live.size === 1);
  await until("the second page is read", async () => {
    if (lists().some(({ query }) => query.includes("cursor=200"))) return true;
    // An end that is reached already is no event.
    await page.locator(".box").evaluate((one) => (one.scrollTop = one.scrollTop > 0 ? one.scrollTop - 50 : one.scrollHeight));
    return false;
  });
  await page.waitForTimeout(500);
  const before = lists().length;
  api.cut();
  await until("both are read again", () => lists().slice(before).some(({ query }) => query.includes("cursor=200")));
  await page.waitForTimeout(300);
  assert.equal(await page.getByRole("button", { name: /^Show/ }).count(), 0);
  await page.evaluate(() => (location.hash = "#/inbox"));
  await page.getByText("those whose window closes next may be missing").waitFor();
  await close();
});

test("what comes while the page is hidden is marked read when somebody comes back", async () => {
  const api = new Api();
  const marks = () => api.asked.filter(({ path }) => path.endsWith("/read")).length;
  const hide = (page, hidden) =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  api.conversations = api.conversations.map((one) => ({ ...one, unread_count: 0 }));
  const { page, close } = await browser.open(thread, { api });
  await page.getByText("Hello, I saw your ad").waitFor();
  await until("the stream is open", () => api.live.size === 1);
  await hide(page, true);
  api.conversations = api.conversations.map((one) => (one.id === first.id ? { ...one, unread_count: 77 } : one));
  api.event("message.received", { conversation_id: first.id, message_id: "m_9000" });
  await page.locator(`a[data-row="${first.id}"]`).getByText("77").waitFor();
  assert.equal(marks(), 0);
  await hide(page, false);
  await until("it is marked", () => marks() === 1);
  await close();
});
