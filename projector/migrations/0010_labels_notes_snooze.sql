-- Labels of conversations, by (time, id) of the last act on each (docs/decisions/51).
create table inbox_v1.labels (
    id              text collate "C" primary key,
    conversation_id text collate "C" not null,
    channel         text not null,
    account_id      text not null,
    name            text collate "C" not null,
    labelled_by     text,
    labelled_at     timestamptz not null
);
create index labels_of_conversation on inbox_v1.labels (conversation_id, name);
create index labels_named on inbox_v1.labels (name, conversation_id);

-- Notes of people on our side. They are content, as texts of messages are.
create table inbox_v1.notes (
    id              text collate "C" primary key,
    note_id         text collate "C" not null,
    conversation_id text collate "C" not null,
    channel         text not null,
    account_id      text not null,
    text            text not null,
    noted_by        text,
    noted_at        timestamptz not null
);
create index notes_by_id on inbox_v1.notes (note_id);
create index notes_listed on inbox_v1.notes (conversation_id, noted_at desc, note_id desc);

-- By the last act. Whether the person wrote since is compared by whoever reads: the view shows no time then.
alter table inbox_v1.conversations
    add column snoozed_until timestamptz,
    add column snoozed_at    timestamptz;
create index conversations_snoozed on inbox_v1.conversations (last_message_at desc, id desc) where snoozed_until is not null;
