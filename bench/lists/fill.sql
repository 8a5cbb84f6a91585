-- A large inbox: 100,000 conversations of 20 accounts with 10 messages each. Words follow Zipf's law, as those of people do: `word` 1 is in most
-- messages, word 5,000 in one of some thousand. `zebrafinch` stands in one message of 10,000. The same in every run.
create temporary table words as
select n as rank, (array['the','ra','no','ki','to','es','la','mi','so','ven','ter','da','lo','pe','an','du','is','ca','ri','be',
                 'ol','na','ge','sti','fa','mo','tur','en','shi','ble','or','wa','ju','ly','go','per','ti','hu','con','di'])[1 + n % 40]
       || case when 40 <= n then (array['ma','re','lin','to','ve','ca','din','ro','se','pa','nu','lei','ten','gi','so','ar','wu','mi','ko','be',
                                        'lu','fer','sa','ne','dra','fi','ho','la','ster','ju','ken','ol','ty','ran','bi','cu','em','za','vo','tra'])[1 + (n / 40) % 40] else '' end
       || case when 1600 <= n then (array['s','n','ing','er','ed','ly'])[1 + n / 1600] else '' end as word
  from generate_series(0, 4999) n;
create temporary table sentences as
select s as number, string_agg(w.word, ' ' order by k) as text
  from generate_series(0, 49999) s
  cross join generate_series(1, 14) k
  join words w on w.rank = floor(power(5000, (hashtextextended('word', s * 100 + k) & 1048575) / 1048576.0))::integer - 1
 where k <= 4 + s % 11
 group by s;
create unique index on sentences (number);
analyze sentences;

insert into inbox_v1.conversations (id, channel, account_id, contact_id, name, placeholder, enriched, username, archived, assigned_to, blocked, known, last_message_id, last_message_at, unread_count)
select 'cnv_' || lpad(to_hex(hashtextextended('c', n)), 16, '0') || lpad(to_hex(n), 16, '0'), case n % 4 when 0 then 'messenger' else 'instagram' end, (17841400000000000 + n % 20)::text,
       (5200000000000000 + n)::text, initcap(a.word) || ' ' || initcap(b.word), 'User ' || n, n % 3 > 0, case when n % 3 > 0 then a.word || '_' || b.word || n end,
       n % 50 = 0, case when n % 10 = 0 then 'agent ' || n % 7 end, n % 1000 = 0, true,
       'msg_' || lpad(to_hex(hashtextextended('m', n * 10 + 9)), 16, '0') || lpad(to_hex(n*10+9), 16, '0'), timestamptz '2026-11-01' + make_interval(secs => n * 10.0 + 9), case when n % 5 = 0 then 3 else 0 end
  from generate_series(1, 100000) n
  join words a on a.rank = (hashtextextended('a', n) & 1048575) % 5000 join words b on b.rank = (hashtextextended('b', n) & 1048575) % 5000;

-- Indexes are made once all rows are there.
create temporary table indexes as
select indexname, indexdef from pg_indexes where schemaname = 'inbox_v1' and tablename = 'messages' and indexname <> 'messages_pkey';
do $$ declare name text; begin
    for name in select indexname from indexes loop execute 'drop index inbox_v1.' || name; end loop;
end $$;

insert into inbox_v1.messages (id, channel, account_id, contact_id, conversation_id, message_id, direction, hidden, text,
                attachments, reactions, sent_at, time_approximate, standby, is_self, backfilled, unsupported, content_missing, counts_unread,
                opens_window, event_id)
select 'msg_' || lpad(to_hex(hashtextextended('m', n * 10 + k)), 16, '0') || lpad(to_hex(n*10+k), 16, '0'), case n % 4 when 0 then 'messenger' else 'instagram' end, (17841400000000000 + n % 20)::text,
       (5200000000000000 + n)::text, 'cnv_' || lpad(to_hex(hashtextextended('c', n)), 16, '0') || lpad(to_hex(n), 16, '0'),
       'mid.' || to_hex(hashtextextended('mid', n * 10 + k)) , case when k % 3 = 0 then 'outbound' else 'inbound' end, false,
       s.text || case when (n * 10 + k) % 10000 = 7 then ' zebrafinch' else '' end, '[]', '[]', timestamptz '2026-11-01' + make_interval(secs => n * 10 + k), false, false, false, false, false, false, k % 3 > 0, k % 3 > 0, 'evt_' || n*10+k
  from generate_series(0, 9) k cross join generate_series(1, 100000) n join sentences s on s.number = (hashtextextended('s', n * 10 + k) & 1073741823) % 50000;

do $$ declare definition text; begin
    for definition in select indexdef from indexes loop execute definition; end loop;
end $$;
