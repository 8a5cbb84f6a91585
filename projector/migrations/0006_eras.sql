-- The era of INBOX_EVENTS beside every position. Until now the time the stream was made stood for it (`stream_created`, written no more).
alter table inbox_v1.positions
    add column era        text,
    -- When the broker stored the event at the position `stored_seq`; the release before this one moves the position without it.
    add column stored_at  timestamptz,
    add column stored_seq bigint,
    -- How many eras the rows are made of: with more than one, the stream does not hold all their events.
    add column eras       smallint not null default 1;
update inbox_v1.positions
   set era = left(encode(sha256(convert_to('hookline-era/' || stream || '/' || floor(extract(epoch from stream_created) * 1000)::bigint,
                                           'UTF8')), 'hex'), 32);
