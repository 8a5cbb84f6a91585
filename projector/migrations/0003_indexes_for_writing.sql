-- Indexes that made writing slower than reading needs.

-- Without the event: else a plan made while the table was tiny may look an event up by it, reading the whole index each time.
create index facts_of_rows on inbox_v1.facts (entity, slot, time desc);
drop index inbox_v1.facts_by_entity;

-- Conversations follow from what changes in their messages; where they do not, `messages_listed` finds these.
drop index inbox_v1.messages_unread;
drop index inbox_v1.messages_opening;
