-- What is forgotten by age is found by it (docs/decisions/44).
create index echoes_by_age on worker.echoes (seen_at) where examined;
create index waiting_by_age on worker.waiting (resolved_at) where state = 'resolved';
