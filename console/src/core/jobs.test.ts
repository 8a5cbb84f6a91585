import { expect, it } from "vitest";
import { wishesOf } from "./jobs";

it("offers what a job can do: a job of a verb goes on by its command, and one that has ended does nothing", () => {
  const plan = { plan: "plan-1" };
  expect(wishesOf({ state: "running", arguments: plan })).toEqual(["pause", "cancel"]);
  expect(wishesOf({ state: "paused", arguments: plan })).toEqual(["resume", "cancel"]);
  expect(wishesOf({ state: "paused", arguments: { since: "1h" } })).toEqual(["cancel"]);
  expect(["done", "failed", "cancelled"].flatMap((state) => wishesOf({ state, arguments: plan }))).toEqual([]);
});
