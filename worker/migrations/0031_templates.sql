-- Message templates of pages, as Meta has them: by what was submitted, by webhooks, and by reading pending ones.
create table worker.templates (
    channel          text not null,
    account_id       text not null,
    name             text not null,                 -- at Meta
    language         text not null,
    template_id      text not null unique,          -- ours, derived from the four before
    category         text,
    components       jsonb,                         -- as they were submitted; null: not by us
    parameter_format text,
    status           text not null,                 -- Meta's word; UNKNOWN: whether Meta has it is not known; FAILED: Meta refused to take it
    reason           text,
    meta_template_id text,
    status_at        timestamptz not null,          -- of the status
    look_at          timestamptz,                   -- when Meta is asked again; null: it has decided
    looks            integer not null default 0,
    created_at       timestamptz not null default now(),
    primary key (channel, account_id, name, language)
);
create index templates_to_look on worker.templates (look_at) where look_at is not null;
create index templates_by_meta on worker.templates (channel, account_id, meta_template_id);

create view worker.template_list as
select t.template_id, t.channel, t.account_id, t.name, t.language, t.category, t.components, t.parameter_format, t.status, t.reason,
       t.meta_template_id, t.status_at, t.created_at
  from worker.templates t;
