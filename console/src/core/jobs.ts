/** Pure: what a person may wish of a job. */

export type Wish = "pause" | "resume" | "cancel";

/** One with a plan was asked for here and is carried out by a role; others go on by the command that `hookline jobs resume` prints. */
export function wishesOf(job: { state?: unknown; arguments?: unknown }): Wish[] {
  const isOfRole = typeof job.arguments === "object" && job.arguments !== null && "plan" in job.arguments;
  if (job.state === "running") return ["pause", "cancel"];
  if (job.state === "paused") return isOfRole ? ["resume", "cancel"] : ["cancel"];
  return [];
}
