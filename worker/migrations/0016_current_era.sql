-- The number of the era of a stream that counts now; 0 where none was declared. For statements that store positions beside it or compare with it.
create function worker.current_era(stream text) returns smallint language sql stable as $$
    select coalesce(max(e.n), 0)::smallint from worker.stream_eras e where e.stream = current_era.stream
$$;
