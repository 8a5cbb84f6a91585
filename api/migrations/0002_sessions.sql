-- Browsers: sessions, one-time links that open one, and logins at Meta that are under way. Secrets are kept as digests.

create table api.sessions (
    -- sha256 of the secret in the cookie.
    digest     bytea primary key,
    -- The token it was opened with, as a keyed digest: another token under the same name ends it. Null: opened by a one-time link.
    token      bytea,
    opened_at  timestamptz not null default now(),
    expires_at timestamptz not null
);
create index sessions_expired on api.sessions (expires_at);

create table api.session_links (
    -- sha256 of the code in the link.
    digest     bytea primary key,
    made_at    timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz,
    -- The session it opened.
    session    bytea references api.sessions (digest) on delete set null
);

create table api.connects (
    id           text primary key,
    -- sha256 of the `state` that Meta returns, and of the cookie of the browser it was given to.
    state        bytea not null unique,
    browser      bytea not null unique,
    session      bytea not null references api.sessions (digest) on delete cascade,
    login        text not null check (login in ('instagram', 'facebook')),
    app          text not null,
    redirect_uri text not null,
    begun_at     timestamptz not null default now(),
    expires_at   timestamptz not null,
    -- The browser came back: `state` is used.
    returned_at  timestamptz,
    -- Meta's code, sealed; null where the person refused.
    code         bytea,
    -- What the person chose, as `channel/id`.
    chosen       text[],
    chosen_at    timestamptz
);
create index connects_by_time on api.connects (begun_at);
create index connects_by_session on api.connects (session);

-- For the worker: logins that came back with a code.
create view api.connect_requests as
select id, login, app, redirect_uri, code, chosen, returned_at from api.connects where code is not null;
