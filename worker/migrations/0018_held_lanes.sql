-- Parked work keeps the bytes of its raw webhooks, whatever META_RAW keeps; and the lanes that it holds stand in a table of their own, so that no
-- batch of webhooks reads every parked row. Both follow from `worker.parked`, in the transaction that changes it, whichever release does.

-- The raw webhooks of parked rows, each once however many lanes it has rows in; gone with its last row. They have people's words: an erasure
-- looks here by the positions of the person's facts and of the parked rows of the conversation.
create table worker.parked_raws (
    raw_era smallint not null,
    raw_seq bigint not null,
    -- What ingest noted beside the body. `json`, for headers may have characters that `jsonb` refuses.
    meta    json,
    -- Byte for byte. Null: META_RAW had it no more when it was to be kept.
    body    bytea,
    primary key (raw_era, raw_seq)
);

-- The ids of all events of a row: they belong to it also when they are of another lane by now.
alter table worker.parked add column event_ids text[];

-- One row for each lane that has parked rows: what waits behind it is parked, too.
create table worker.held_lanes (
    lane     text primary key,
    -- Its first row in raw order, `worker.parked.id`.
    head     bigint not null,
    -- When the first row is tried again; null: not by itself any more.
    retry_at timestamptz
);
create index held_lanes_due on worker.held_lanes (retry_at);
create index held_lanes_by_head on worker.held_lanes (head);

-- The row of a lane, from its parked rows. It locks the lane first: whoever changes it at the same time is done then, and each statement that
-- follows sees what that left.
create function worker.keep_held_lane(of_lane text) returns void language plpgsql as $$
begin
    insert into worker.held_lanes (lane, head) values (of_lane, 0) on conflict (lane) do update set lane = excluded.lane;
    update worker.held_lanes h set head = first.id, retry_at = first.retry_at
      from (select p.id, p.retry_at from worker.parked p where p.lane = of_lane order by p.raw_era, p.raw_seq limit 1) first
     where h.lane = of_lane;
    if not found then
        delete from worker.held_lanes where lane = of_lane;
    end if;
end $$;

-- Deletes a raw webhook that no parked row is of any more. It locks it first, as whoever stores it does.
create function worker.drop_parked_raw(of_era smallint, of_seq bigint) returns void language plpgsql as $$
begin
    perform from worker.parked_raws where raw_era = of_era and raw_seq = of_seq for update;
    if found then
        delete from worker.parked_raws r
         where r.raw_era = of_era and r.raw_seq = of_seq
           and not exists (select from worker.parked p where p.raw_era = of_era and p.raw_seq = of_seq);
    end if;
end $$;

create function worker.parked_changed() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and (tg_op = 'DELETE' or new.lane <> old.lane) then
        perform worker.keep_held_lane(old.lane);
    end if;
    if tg_op <> 'DELETE' then
        perform worker.keep_held_lane(new.lane);
    end if;
    if tg_op <> 'INSERT' and (tg_op = 'DELETE' or (new.raw_era, new.raw_seq) <> (old.raw_era, old.raw_seq)) then
        perform worker.drop_parked_raw(old.raw_era, old.raw_seq);
    end if;
    return null;
end $$;

-- The triggers come before the lanes are filled in: making them waits for every transaction that writes the table, and holds up new ones.
create trigger parked_rows after insert or delete on worker.parked
    for each row execute function worker.parked_changed();
create trigger parked_order after update of lane, raw_era, raw_seq, retry_at on worker.parked
    for each row execute function worker.parked_changed();

insert into worker.held_lanes (lane, head, retry_at)
select distinct on (lane) lane, id, retry_at from worker.parked order by lane, raw_era, raw_seq;

-- The lanes of a shard are not asked for any more.
drop index worker.parked_by_shard;
