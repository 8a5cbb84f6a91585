/** Pure: what a freeze is of, as `GET /v1/ops/send` names it. */

export interface Scope {
  account_id?: string;
  conversation?: string;
}

/** What is to be thawed: exactly what was frozen. `undefined` for a scope of a later release. */
export function scopeOf(text: string): Scope | undefined {
  if (text === "*") return {};
  if (text.startsWith("account:")) return { account_id: text.slice("account:".length) };
  if (text.startsWith("conversation:")) return { conversation: text.slice("conversation:".length) };
  return undefined;
}

/** The same in words; `nameOf` knows accounts by their id. */
export function scopeInWords(text: string, nameOf: (account: string) => string): string {
  const scope = scopeOf(text);
  if (!scope) return text;
  if (scope.conversation !== undefined) return `conversation ${scope.conversation}`;
  if (scope.account_id !== undefined) return `account ${nameOf(scope.account_id.split("/").at(-1) ?? "")}`;
  return "everything";
}
