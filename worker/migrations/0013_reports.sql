-- Reports of one fact are merged (docs/decisions/29).

-- The reports of facts that have several of the best rank: what each raw webhook says by itself. A fact without rows here has one report,
-- its latest reading. `event` is the report as an event; null once its content was erased.
create table worker.reports (
    event_id  text not null,
    raw_seq   bigint not null,
    raw_index integer not null,
    digest    bytea not null,
    event     json,
    primary key (event_id, raw_seq, raw_index)
);
create index reports_by_raw on worker.reports (raw_seq);

-- `merged`: this reading is what several reports say together, and no report by itself. `silent`: it came from an import, or in standby: nobody
-- was asked for an automatic reply. Of readings of an earlier release that is not known: they count as considered.
alter table worker.facts
    add column merged boolean not null default false,
    add column silent boolean not null default false;

-- Ids that Graph was seen to use for an account. `accounts add` replaces what somebody named, and keeps what was learnt.
alter table worker.account_aliases add column learnt boolean not null default false;
-- The handle, as Graph last reported it: threads may name the account by it alone.
alter table worker.accounts add column handle text;
