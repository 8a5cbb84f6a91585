// What people who answer need beside replies: labels, notes, snooze, saved replies.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { conversations } from "./data.mjs";
import { findings, start, until } from "./harness.mjs";
import { Api, problem } from "./server.mjs";

let browser;
before(async () => (browser = await start()));
after(() => browser?.stop());

const [first] = conversations();
const thread = `#/inbox/${first.id}`;
const bodies = (api, end) => api.asked.filter(({ method, path }) => method === "POST" && path.endsWith(end)).map(({ body }) => body);

test("labels are shown, added and taken off", async () => {
  const { page, faults, close } = await browser.open(thread);
  const labels = page.getByRole("list", { name: "Labels" });
  await labels.getByText("vip").waitFor();
  await page.getByRole("button", { name: "Label…" }).click();
  assert.deepEqual(await findings(page), []);
  await page.getByLabel("Label, such as VIP").fill("returns");
  await page.keyboard.press("Enter");
  await labels.getByText("returns").waitFor();
  await page.getByRole("button", { name: "Take off the label vip" }).click();
  await until("it is off", async () => (await labels.getByText("vip").count()) === 0);
  assert.deepEqual(faults, []);
  await close();
});

test("a note is read and written, and goes nowhere else", async () => {
  const { page, api, faults, close } = await browser.open(thread);
  await page.getByText("Notes (1)").click();
  await page.getByText("Waits for the invoice.").waitFor();
  assert.deepEqual(await findings(page), []);
  const field = page.getByLabel("A note, for your side only");
  await field.fill("Paid today");
  await page.getByRole("button", { name: "Add note" }).click();
  await until("it is written", async () => bodies(api, "/notes").length === 1 && (await field.inputValue()) === "");
  assert.deepEqual(bodies(api, "/notes"), [{ text: "Paid today" }]);
  assert.deepEqual(bodies(api, "/messages"), []);
  assert.deepEqual(faults, []);
  await close();
});

test("a snoozed conversation leaves the list and can be woken", async () => {
  const api = new Api();
  api.on("POST", /\/snooze$/, ({ body }) => {
    const [row] = api.conversations;
    row.snoozed_until = body.until;
    return { ...row };
  });
  const { page, faults, close } = await browser.open(thread, { api });
  await page.getByRole("button", { name: "Snooze…" }).click();
  await page.getByRole("combobox", { name: /^Until/ }).selectOption({ label: "For three hours" });
  assert.deepEqual(await findings(page), []);
  await page.getByRole("button", { name: "Snooze", exact: true }).click();
  await page.getByText("snoozed until").waitFor();
  const hours = (Date.parse(bodies(api, "/snooze")[0].until) - Date.now()) / 3_600_000;
  assert(hours > 2.9 && hours < 3.1, `${hours}`);
  await page.getByRole("button", { name: "Wake" }).click();
  await page.getByRole("button", { name: "Snooze…" }).waitFor();
  assert.deepEqual(bodies(api, "/snooze")[1], { until: null });
  assert.deepEqual(faults, []);
  await close();
});

test("a saved reply is put into the field, and what is written is saved", async () => {
  const { page, api, faults, close } = await browser.open(thread);
  const field = page.getByRole("textbox", { name: "Answer" });
  await page.getByText("Saved replies").click();
  await page.getByRole("button", { name: "Hours", exact: true }).click();
  assert.equal(await field.inputValue(), "We are open from 9 to 5.");
  await page.getByText("Saved replies").click();
  await page.getByRole("button", { name: "Save what is written…" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Opening");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(bodies(api, "/saved_replies").length, 1);
  assert.deepEqual(bodies(api, "/saved_replies"), [{ name: "Opening", text: "We are open from 9 to 5." }]);
  assert.deepEqual(bodies(api, "/messages"), []);
  assert.deepEqual(faults, []);
  await close();
});

test("a saved reply that is not deleted stays, and why is said", async () => {
  const api = new Api().on("DELETE", /^\/v1\/saved_replies\/svd_1$/, problem(503, "unavailable"));
  const { page, faults, close } = await browser.open(thread, { api });
  await page.getByText("Saved replies").click();
  await page.getByRole("button", { name: "Delete the saved reply Hours" }).click();
  await page.getByRole("alert").getByText(/not reachable/).waitFor();
  await page.getByRole("button", { name: "Hours", exact: true }).waitFor();
  assert.deepEqual(await findings(page), []);
  assert.deepEqual(faults, []);
  await close();
});
