export type * from "./events.js";
export { KINDS } from "./kinds.js";
export { follow, type FollowOptions } from "./nats.js";
export { followHttp, type Cursor, type Gap, type HttpOptions } from "./http.js";
export { Stopped, type Following, type Handlers, type Meta, type ReaderOptions, type Unknown } from "./reader.js";
export { Window, type Store } from "./store.js";
export { filter, token } from "./subjects.js";
