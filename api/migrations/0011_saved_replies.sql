-- Texts that people answer with often. Written by the api alone; nobody's conversation is in them.
create table api.saved_replies (
    id          text collate "C" primary key,
    name        text not null,
    text        text not null,
    -- The accounts it is for; null: all.
    account_ids text[],
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    -- Of what its first request asked for: one key is one saved reply.
    asked       bytea not null
);
create index saved_replies_listed on api.saved_replies (created_at desc, id desc);
