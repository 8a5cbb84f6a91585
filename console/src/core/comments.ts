/** Pure: comments below their posts, answers below what they answer. */

export interface CommentLike {
  id: string;
  channel: string;
  account_id: string;
  parent_id?: string | null;
  media_id?: string | null;
  post_id?: string | null;
  created_at: string;
}

export interface Post<C> {
  key: string;
  id: string;
  channel: string;
  account_id: string;
  newest: string;
  threads: { comment: C; answers: C[] }[];
}

/** Posts by their newest comment; in each the newest thread first, answers oldest first. */
export function byPost<C extends CommentLike>(comments: readonly C[]): Post<C>[] {
  const posts = new Map<string, Post<C>>();
  // Meta's ids are those of a channel and account: another one may have the same.
  const idOf = (comment: CommentLike, id: string) => `${comment.channel}/${comment.account_id}/${id}`;
  const known = new Map(comments.map((comment) => [idOf(comment, comment.id), comment]));
  const roots = new Map<string, { comment: C; answers: C[] }>();
  const rootOf = (comment: C): C => {
    let at = comment;
    // Parents are earlier; a circle would be Meta's fault and must not hang us.
    for (let steps = 0; steps < 20 && at.parent_id; steps += 1) {
      const parent = known.get(idOf(at, at.parent_id));
      if (!parent) break;
      at = parent;
    }
    return at;
  };
  for (const comment of comments) {
    const id = comment.media_id ?? comment.post_id ?? "";
    const key = `${comment.channel}/${comment.account_id}/${id}`;
    const post = posts.get(key) ?? { key, id, channel: comment.channel, account_id: comment.account_id, newest: comment.created_at, threads: [] };
    posts.set(key, post);
    if (post.newest < comment.created_at) post.newest = comment.created_at;
    const root = rootOf(comment);
    const thread = roots.get(idOf(root, root.id)) ?? { comment: root, answers: [] };
    if (!roots.has(idOf(root, root.id))) post.threads.push(thread);
    roots.set(idOf(root, root.id), thread);
    if (root !== comment) thread.answers.push(comment);
  }
  const list = [...posts.values()].sort((a, b) => (a.newest < b.newest ? 1 : -1));
  for (const post of list) {
    post.threads.sort((a, b) => (a.comment.created_at < b.comment.created_at ? 1 : -1));
    for (const thread of post.threads) thread.answers.sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }
  return list;
}
