// Serves the built console as the api does, with its headers, in front of an api that a test scripts.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import * as data from "./data.mjs";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
// As api/src/console.rs sends it: a Rust string goes on after a backslash at the end of a line, without the indentation that follows.
const source = readFileSync(new URL("../../api/src/console.rs", import.meta.url), "utf8");
const POLICY = /const POLICY: &str = "([^"]+)";/.exec(source)[1].replace(/\\\n\s*/g, "");
const KINDS = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", html: "text/html; charset=utf-8" };

/** Every route with its usual answer; a test replaces those it is about. */
function usual(api) {
  const list = (name, rows) => ({ [name]: rows, total: rows.length, next_cursor: null });
  const find = (id) => api.conversations.find((row) => row.id === id);
  return [
    ["GET", /^\/v1\/accounts$/, () => list("accounts", data.accounts)],
    ["GET", /^\/v1\/accounts\/(.+)\/health$/, (_, id) => data.health(id)],
    ["GET", /^\/v1\/conversations$/, () => list("conversations", api.conversations)],
    ["GET", /^\/v1\/conversations\/([^/]+)$/, (_, id) => find(id) ?? 404],
    ["GET", /^\/v1\/conversations\/([^/]+)\/messages$/, () => ({ messages: api.messages, next_cursor: null })],
    ["POST", /^\/v1\/conversations\/([^/]+)\/messages$/, ({ key, body }) => api.send(key, body)],
    ["GET", /^\/v1\/conversations\/([^/]+)\/notes$/, () => ({ notes: data.notes(), next_cursor: null })],
    ["PUT", /^\/v1\/conversations\/([^/]+)\/labels\/([^/]+)$/, (_, id, name) => api.label(id, name, true)],
    ["DELETE", /^\/v1\/conversations\/([^/]+)\/labels\/([^/]+)$/, (_, id, name) => api.label(id, name, false)],
    ["GET", /^\/v1\/saved_replies$/, () => ({ saved_replies: data.savedReplies(), next_cursor: null })],
    ["POST", /^\/v1\/saved_replies$/, ({ body }) => ({ ...data.savedReplies()[0], id: "svd_2", ...body })],
    ["GET", /^\/v1\/conversations\/([^/]+)\/policy$/, () => ({ allowed: true, rule: "window.24h" })],
    ["POST", /^\/v1\/conversations\/([^/]+)\/\w+$/, (_, id) => find(id) ?? 404],
    ["GET", /^\/v1\/replies$/, ({ query }) => list("replies", query.get("status") === "unknown" ? data.unknown() : data.held())],
    ["GET", /^\/v1\/replies\/([^/]+)$/, (_, id) => api.replies.get(id) ?? 404],
    ["GET", /^\/v1\/comments$/, () => list("comments", data.comments())],
    ["GET", /^\/v1\/contacts\/([^/]+)$/, (_, id) => data.contact(id)],
    ["GET", /^\/v1\/ops\/status$/, () => data.status],
    ["GET", /^\/v1\/ops\/dead$/, () => ({ normalize: data.dead, project: [], next_cursor: null })],
    ["GET", /^\/v1\/ops\/waiting$/, () => list("waiting", data.waiting)],
    ["GET", /^\/v1\/ops\/jobs$/, () => ({ jobs: data.jobs })],
    ["GET", /^\/v1\/ops\/audit$/, () => ({ acts: data.audit })],
    ["GET", /^\/v1\/ops\/trace\/.+$/, () => data.trace],
    ["POST", /^\/v1\/ops\/redrive\/\w+$/, ({ query }) => (query.get("plan") ? { plan_id: "p1", counts: { lanes: 12, events: 0 } } : { job_id: "redrive-run-1", counts: { lanes: 12, events: 0 } })],
    ["POST", /^\/session\/link$/, () => ({})],
  ];
}

export const problem = (status, code, detail = "what happened and what to do") => ({ problem: { type: `urn:hookline:problem:${code}`, title: code, status, code, detail } });

export class Api {
  conversations = data.conversations();
  messages = data.messages();
  replies = new Map();
  /** Sends by Idempotency-Key: each is one effect. */
  sent = new Map();
  asked = [];
  live = new Set();
  #rules = [];
  #position = 0;

  /** Replaces a route: an object is the answer, a number its status, `"silence"` no answer at all, `"later"` none for a long time, a promise the answer when it comes. */
  on(method, pattern, answer) {
    this.#rules.unshift([method, pattern, typeof answer === "function" ? answer : () => answer]);
    return this;
  }

  send(key, body) {
    const known = this.sent.get(key);
    const reply = known ?? { reply_id: `rpl_${this.sent.size}`, status: "queued", channel: "instagram", account_id: "1", text: body.text, parts: [], attempts: 0 };
    if (!known) {
      this.sent.set(key, reply);
      this.replies.set(reply.reply_id, reply);
    }
    return { status: 202, body: { reply_id: reply.reply_id, status: reply.status } };
  }

  label(id, name, on) {
    const row = this.conversations.find((one) => one.id === id);
    if (!row) return 404;
    row.labels = row.labels.filter((one) => one !== name).concat(on ? [name] : []).sort();
    return { ...row };
  }

  event(kind, fields) {
    this.#position += 1;
    const text = `id: ${this.#position}\nevent: ${kind}\ndata: ${JSON.stringify({ id: `evt_${this.#position}`, data: fields })}\n\n`;
    for (const response of this.live) response.write(text);
  }

  cut() {
    for (const response of this.live) response.destroy();
    this.live.clear();
  }

  async answer(request, response, path, query, body) {
    const method = request.method;
    this.asked.push({ method, path, query: query.toString(), key: request.headers["idempotency-key"], last: request.headers["last-event-id"], body });
    for (const [wanted, pattern, answer] of [...this.#rules, ...usual(this)]) {
      const match = wanted === method && pattern.exec(path);
      if (!match) continue;
      const made = await answer({ query, body, key: request.headers["idempotency-key"] }, ...match.slice(1).map(decodeURIComponent));
      if (made === "silence") return response.destroy();
      if (made === "later") return undefined;
      if (made?.problem) return json(response, made.problem.status, made.problem);
      if (typeof made === "number") return json(response, made, { status: made, code: made === 404 ? "not_found" : "unavailable", detail: "no such thing" });
      return made?.status && made.body ? json(response, made.status, made.body) : json(response, 200, made);
    }
    if (path === "/v1/live") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": hello\n\n");
      this.live.add(response);
      response.on("close", () => this.live.delete(response));
      return undefined;
    }
    return json(response, 404, problem(404, "not_found", "no such path: /docs lists what there is").problem);
  }
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

/** Listens on a free port; `use` sets the api that answers from then on. */
export async function serve() {
  let api = new Api();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    if (url.pathname === "/" || url.pathname.startsWith("/assets/")) {
      const name = url.pathname === "/" ? "index.html" : url.pathname.slice(1);
      response.writeHead(200, { "content-type": KINDS[name.split(".").at(-1)], "content-security-policy": POLICY, "x-content-type-options": "nosniff" });
      return response.end(readFileSync(dist + name));
    }
    let text = "";
    for await (const piece of request) text += piece;
    let body = text;
    try {
      body = text === "" ? undefined : JSON.parse(text);
    } catch {
      // A form.
    }
    return api.answer(request, response, url.pathname, url.searchParams, body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    api.cut();
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, use: (next) => ((api = next), next), close };
}
