-- What callers asked for with an `Idempotency-Key`: the same key gives the same answer, for ever.

create schema if not exists api;

create table api.requests (
    -- The command's id (`rpl_…`) or, for acts of people, the event's id (`evt_…`): derived from the token's name and the key.
    id              text collate "C" primary key,
    kind            text not null check (kind in ('reply', 'command', 'act')),
    token           text not null,
    channel         text not null,
    account_id      text not null,
    conversation_id text collate "C",
    -- sha256 over what was asked for: another body under the same key is refused.
    body_digest     bytea not null,
    -- The command or event as it is published; gone once the broker has it.
    message         jsonb,
    -- When the broker confirmed it. Empty: nobody knows, and the caller's next try publishes again under the same id.
    published_at    timestamptz,
    created_at      timestamptz not null default now(),
    check (published_at is not null or message is not null)
);
create index requests_unpublished on api.requests (created_at) where published_at is null;
