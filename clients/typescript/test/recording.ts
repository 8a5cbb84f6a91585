import type { Handlers } from "../src/index.js";

/** What came to which handler. */
export function recording(): { log: string[]; handlers: Handlers } {
  const log: string[] = [];
  return {
    log,
    handlers: {
      event: (event, { replay }) => void log.push(`event ${event.id} ${event.data.origin.revision}${replay ? ` of ${replay}` : ""}`),
      withdrawn: (event) => void log.push(`withdrawn ${event.data.event_id}`),
      unknown: ({ reason }) => void log.push(`unknown: ${reason}`),
    },
  };
}
