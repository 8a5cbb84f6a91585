/** The api as the console calls it: with the session's cookie, and with every failure as a value. */

import createClient from "openapi-fetch";
import { type Trouble, troubleOf } from "../core/words";
import type { components, paths } from "./schema";

export { search as query } from "../core/route";

export type Schemas = components["schemas"];
export type Conversation = Schemas["Conversation"];
export type Message = Schemas["Message"];
export type Reply = Schemas["Reply"];
export type Account = Schemas["Account"];
export type AccountHealth = Schemas["AccountHealth"];
export type Comment = Schemas["Comment"];
export type Contact = Schemas["Contact"];

export type Result<T> = { ok: true; data: T; status: number; etag?: string } | { ok: false; trouble: Trouble };

/** A request that gets no answer within this time has none. */
const TIMEOUT = 20_000;

let signedOut: () => void = () => {};
/** What to do when the api says that the session is over. */
export const onSignedOut = (act: () => void): void => {
  signedOut = act;
};

/** The session is over, as an answer read elsewhere said. */
export const sessionIsOver = (): void => signedOut();

function failed<T>(status: number, body: unknown): Result<T> {
  const trouble = troubleOf(status, body);
  if (status === 401) signedOut();
  return { ok: false, trouble };
}

async function timed(request: Request): Promise<Response> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT)]);
  return fetch(new Request(request, { signal, credentials: "same-origin" }));
}

/** Typed by the api's own description. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: timed });

type Answered<T> = { data?: T; error?: unknown; response: Response };

/** Waits for an answer and makes a value of it. */
export async function call<T>(asked: Promise<Answered<T>>): Promise<Result<T>> {
  try {
    const { data, error, response } = await asked;
    if (!response.ok) return failed(response.status, error);
    return { ok: true, data: data as T, status: response.status, etag: response.headers.get("etag") ?? undefined };
  } catch {
    return failed(0, undefined);
  }
}

/** A request outside of the typed client: routes that the description lacks, and those whose address or key a caller makes. */
export async function raw<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Result<T>> {
  try {
    const json: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    const request = new Request(new URL(path, location.origin), {
      method,
      headers: { accept: "application/json", ...json, ...headers },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const response = await timed(request);
    const text = await response.text();
    let parsed: unknown;
    try {
      parsed = text === "" ? undefined : JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    if (!response.ok) return failed(response.status, parsed);
    return { ok: true, data: parsed as T, status: response.status };
  } catch {
    return failed(0, undefined);
  }
}
