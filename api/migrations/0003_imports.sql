-- Imports of conversations that are under way, so that all processes of the api share one. A row may outlive its import: whoever finds the
-- outcome of its command, or `until` in the past, begins another.
create table api.imports (
    conversation_id text collate "C" primary key,
    -- The command that imports it.
    command_id      text collate "C" not null,
    until           timestamptz not null
);
