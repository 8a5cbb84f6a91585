-- Media and posts of accounts, as Graph listed them last. The comments under them are events.
create table worker.media (
    channel text not null,
    account_id text not null,
    media_id text not null,
    caption text,
    media_type text,
    permalink text,
    posted_at timestamptz,
    -- As Graph counts: with hidden ones and answers, and late.
    comments_count bigint,
    listed_at timestamptz not null,
    primary key (channel, account_id, media_id)
);

-- When an account's list was read last: it may have been empty.
create table worker.media_lists (
    channel text not null,
    account_id text not null,
    read_at timestamptz not null,
    primary key (channel, account_id)
);

-- The latest list of each account.
create view worker.media_list as
select m.channel, m.account_id, m.media_id, m.caption, m.media_type, m.permalink, m.posted_at, m.comments_count, l.read_at
  from worker.media m
  join worker.media_lists l on l.channel = m.channel and l.account_id = m.account_id and l.read_at = m.listed_at;

create view worker.media_reads as
select l.channel, l.account_id, l.read_at from worker.media_lists l;
