-- What a replay brings into the waiting room: the events that come of it are replayed ones and lead to no automatic reply.
alter table worker.waiting add column replay text;
