                case when t.based_seq is null then false
                     else t.based_era <> (select worker.current_era('INBOX_EVENTS'))
                       or exists (select from (select n.event_era, n.event_seq from worker.news n
                                                where n.conversation_id = t.conversation_id offset 0) news
                                   where news.event_era = t.based_era and news.event_seq > t.based_seq)
                       or exists (select from (select p.identity, p.held, p.requester, p.command, p.stream_era, p.stream_seq from worker.commands p
                                                where p.lane = t.lane and p.state = 'open' offset 0) queued
                                   where queued.identity <> t.identity and queued.requester = 'person' and queued.command = 'reply'
                                     and queued.held is distinct from 'scheduled'
                                     and not exists (select from (select o.requester, o.stream_era, o.stream_seq from worker.commands o
                                                                   where o.identity = t.identity offset 0) own
                                                      where own.requester = 'person'
                                                        and (own.stream_era, own.stream_seq) < (queued.stream_era, queued.stream_seq)))
                       or exists (select from (select p.identity, p.requester, p.command, p.state from worker.commands p
                                                where p.conversation_id = t.conversation_id and not p.outcome_published offset 0) ended
                                   where ended.identity <> t.identity and ended.requester = 'person' and ended.command = 'reply'
                                     and ended.state in ('sent', 'partial', 'unknown'))
                 end as overtaken,
                t.based_seq is not null
                    and exists (select from (select e.kind, e.examined from worker.echoes e
                                              where e.channel = t.channel and e.account_id = t.account_id and e.peer = t.contact_id
                                                and e.claimed_by is null and e.time > now() - interval '1 day' offset 0) echo
                                 where echo.kind = 'message' and not echo.examined) as echo_waits,
