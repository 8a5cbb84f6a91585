-- Meta's callbacks about a person who removed the app, or asked for the deletion of their data. Each signed request acts once, however often
-- it is delivered. Who it was about is not kept here.
create table worker.callbacks (
    id          bytea primary key,
    kind        text not null check (kind in ('deauthorize', 'deletion')),
    app         text not null,
    received_at timestamptz not null,
    -- The accounts that it was about, as channel/id.
    accounts    text[] not null,
    -- Of a deletion: the code of its public page, and where it stands.
    code        text unique,
    state       text check (state in ('waiting', 'done', 'nothing_held')),
    state_since timestamptz not null default now(),
    check ((code is null) = (state is null))
);

-- For the public page: where a deletion stands, and nothing about the person.
create view worker.deletion_requests as
select code, state, received_at, state_since from worker.callbacks where code is not null;
