-- Accounts that are connected by a login in a browser.

-- What became of a login that came back from Meta (`api.connect_requests`). One row per login; its code is exchanged once.
create table worker.connections (
    id            text primary key,
    login         text not null check (login in ('instagram', 'facebook')),
    app           text not null,
    -- `exchanging` until the code was exchanged, `choosing` until the person chose, `connecting` until the accounts are stored.
    step          text not null default 'exchanging'
                  check (step in ('exchanging', 'choosing', 'connecting', 'done', 'refused')),
    -- Before the code is sent to Meta: an exchange without an answer is not repeated as if it had not been.
    exchanged_at  timestamptz,
    -- The token of the person who authorised, sealed: while `exchanging` the short one of the code, then the long one; gone with the last step.
    token         bytea,
    token_ends    timestamptz,
    granted       text[] not null default '{}',
    granted_by    text,
    -- What can be connected, and what of it was: ids, names, reasons. No tokens.
    candidates    jsonb not null default '[]',
    -- Why it was refused: a stable word, and details for the page.
    refusal       text,
    detail        text,
    tries         integer not null default 0,
    due_at        timestamptz not null default now(),
    claimed_by    text,
    claimed_until timestamptz,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);
create index connections_open on worker.connections (due_at) where step in ('exchanging', 'connecting');

-- For the api: how far a login is.
create view worker.connecting as
select id, login, app, step, granted, candidates, refusal, detail, created_at, updated_at from worker.connections;
