-- Conversions: the last ad that brought a person here, and what the api lists of them.

-- Of the latest referral that names an ad, by (time, event); joined to conversions of the person.
alter table worker.conversations
    add column ad_id    text,
    add column ad_ref   text,
    add column ad_at    timestamptz,
    add column ad_event text;

-- Those asked for last first.
create index commands_conversions on worker.commands (requested_at, identity) where command = 'conversion_event';

-- Conversions without what they say of a person.
create view worker.conversion_list as
select c.identity, c.command_id, c.channel, c.account_id, c.contact_id,
       case c.state when 'open' then 'queued' when 'sent' then 'done' when 'partial' then 'failed' else c.state end as status,
       c.data ->> 'dataset_id' as dataset_id, c.data ->> 'event_name' as event_name,
       coalesce(c.data ->> 'event_id', c.command_id) as event_id,
       case when jsonb_typeof(c.data -> 'event_time') = 'number' then (c.data ->> 'event_time')::numeric::bigint end as event_time,
       c.data ->> 'test_event_code' as test_event_code,
       case when c.state <> 'open' then c.result end as result,
       case when c.state <> 'sent' then c.error end as error,
       c.requested_at, c.finished_at
  from worker.commands c
 where c.command = 'conversion_event' and position('#' in c.identity) = 0;
