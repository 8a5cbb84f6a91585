// One Chromium, and pages whose faults fail the test.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { Api, serve } from "./server.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PLACES = [process.env.HOOKLINE_CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];
const SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
/** Generous: the machine may be busy. */
const WAIT = 20_000;

export async function start() {
  const executablePath = PLACES.find((path) => path && existsSync(path));
  assert(executablePath, "no Chromium: run deploy/dev/setup.sh --tests, or set HOOKLINE_CHROMIUM");
  const [server, browser] = await Promise.all([serve(), chromium.launch({ executablePath, args: SWITCHES })]);
  return {
    origin: server.origin,
    /** A page of its own before an api of its own; what is wrong with it is in `faults`. */
    async open(hash, { api = new Api(), width = 1280, ...options } = {}) {
      server.use(api);
      const context = await browser.newContext({ viewport: { width, height: width < 500 ? 640 : 800 }, ...options });
      context.setDefaultTimeout(WAIT);
      const page = await context.newPage();
      const faults = [];
      page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
      page.on("dialog", (dialog) => dialog.type() === "beforeunload" || faults.push("a dialog opened"));
      page.on("request", (request) => {
        if (new URL(request.url()).origin !== server.origin) faults.push(`left the origin: ${request.url()}`);
      });
      const lines = [];
      page.on("console", (message) => lines.push(message.text()));
      await page.goto(`${server.origin}/${hash}`);
      return { page, api, faults, lines, close: () => context.close() };
    },
    async stop() {
      await browser.close();
      server.close();
    },
  };
}

/** What axe finds, the best practices included. */
export async function findings(page) {
  await page.evaluate(`${axe}; true`);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.target.join(" ")).slice(0, 3).join(" | ")}`);
}

/** Controls smaller than 24 pixels, links inside of text aside. */
export const small = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("button, select, input, textarea, summary, nav a, a.button")]
      .filter((one) => one.checkVisibility() && !one.closest(".unseen"))
      // A check box is hit by its label.
      .map((one) => (one.matches("[type=checkbox]") ? (one.closest("label") ?? one) : one))
      .filter((one) => one.getBoundingClientRect().height < 24)
      .map((one) => one.outerHTML.slice(0, 80)),
  );

/** Waits for a condition: the machine may be busy. */
export async function until(what, isSo) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(what);
}
