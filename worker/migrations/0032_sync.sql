-- How far the import of all conversations of an account has come (docs/decisions/49). One row per account: imports of a whole account take turns.
create table worker.account_syncs (
    channel    text not null,
    account_id text not null,
    command    text not null,                       -- the command that imports, by its identity
    again      boolean not null default false,      -- the list was walked to its end; what has moved up since is read again
    cursor     text,                                -- where the next page begins; null is the first page
    page       integer not null,                    -- conversations per call
    tries      integer not null default 0,          -- pages that failed in a row
    restarts   integer not null default 0,          -- times that Graph took a cursor no longer
    rounds     integer not null default 0,          -- first pages read again
    primary key (channel, account_id),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);

-- What became of each conversation in the last import of its account. The report is counted from these rows, so a page that is imported
-- twice counts once.
create table worker.synced_threads (
    channel    text not null,
    account_id text not null,
    thread_id  text not null,
    command    text not null,
    updated_at timestamptz,                         -- by Graph; one that reads the same is not imported again
    outcome    text not null,                       -- `synced`, or why not
    messages   bigint not null,
    primary key (channel, account_id, thread_id),
    foreign key (channel, account_id) references worker.accounts (channel, id) on delete cascade
);

-- As before; an import that is under way shows how far it has come.
create or replace view worker.command_outcomes as
select c.command_id, c.channel, c.account_id, c.command,
       case c.state when 'open' then 'queued' when 'sent' then 'done' when 'partial' then 'failed' else c.state end as status,
       case when c.state <> 'open' then c.result when c.command = 'sync' then c.result - array['walk', 'cursor', 'tries'] end as result,
       case when c.state <> 'sent' then c.error end as error,
       c.requested_at, c.finished_at
  from worker.commands c
 where c.command <> 'reply' and position('#' in c.identity) = 0;
