/** Screens of operators that are lists. */
export { default as Audit } from "./Audit.svelte";
export { default as Dead } from "./Dead.svelte";
export { default as Jobs } from "./Jobs.svelte";
export { default as Trace } from "./Trace.svelte";
export { default as Waiting } from "./Waiting.svelte";
