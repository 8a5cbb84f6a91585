import { expect, it } from "vitest";
import { choices, isSnoozed } from "./snooze";

it("offers times that are still to come, in order", () => {
  const now = new Date(2026, 10, 30, 23, 30);
  const times = choices(now).map((choice) => choice.until.getTime());
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(times.every((time) => time > now.getTime())).toBe(true);
  const tomorrow = choices(now)[2]?.until;
  expect([tomorrow?.getDate(), tomorrow?.getHours()]).toEqual([1, 9]);
});

it("ends a snooze at its time", () => {
  const at = Date.parse("2026-11-30T10:00:00.000Z");
  expect(isSnoozed({ snoozed_until: "2026-11-30T10:00:01.000Z" }, at)).toBe(true);
  expect(isSnoozed({ snoozed_until: "2026-11-30T10:00:00.000Z" }, at)).toBe(false);
  expect(isSnoozed({ snoozed_until: null }, at)).toBe(false);
  expect(isSnoozed({}, at)).toBe(false);
});
