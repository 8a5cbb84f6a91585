-- Message templates as people have written them. What Meta says of them is the worker's (`worker.template_list`), under the same id.
create table api.templates (
    id               text collate "C" primary key,
    channel          text collate "C" not null,
    account_id       text collate "C" not null,
    name             text not null,
    slug             text collate "C" not null,
    language         text collate "C" not null,
    category         text not null,
    components       jsonb not null,
    parameter_format text,
    created_by       text not null,
    created_at       timestamptz not null default now()
);
