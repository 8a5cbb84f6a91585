import { describe, expect, it } from "vitest";
import { byPost, type CommentLike } from "./comments";

const comment = (id: string, minute: number, media_id: string, parent_id?: string): CommentLike => ({
  id,
  channel: "instagram",
  account_id: "1",
  media_id,
  parent_id,
  created_at: `2026-11-30T10:${String(minute).padStart(2, "0")}:00Z`,
});

describe("comments", () => {
  it("stand below their post, and answers below what they answer", () => {
    const posts = byPost([comment("a2", 9, "m1", "a1"), comment("b", 8, "m2"), comment("a1", 5, "m1", "a"), comment("a", 1, "m1"), comment("c", 2, "m1")]);
    expect(posts.map((post) => post.id)).toEqual(["m1", "m2"]);
    expect(posts[0]?.threads.map((thread) => [thread.comment.id, ...thread.answers.map((one) => one.id)])).toEqual([["c"], ["a", "a1", "a2"]]);
  });

  it("of two accounts are two, also with one id", () => {
    const posts = byPost([comment("x", 1, "m"), { ...comment("x", 2, "m"), account_id: "2" }]);
    expect(posts.map((post) => [post.account_id, post.threads.length])).toEqual([["2", 1], ["1", 1]]);
  });

  it("stand by themselves where their parent is not known, also in a circle", () => {
    expect(byPost([comment("x", 1, "m", "gone")])[0]?.threads).toHaveLength(1);
    expect(byPost([comment("x", 1, "m", "y"), comment("y", 2, "m", "x")])).toHaveLength(1);
  });
});
