-- How far Graph's clock is from this database's, by host, as the workers last measured it: for `status` and `doctor`.
create table worker.graph_clocks (
    host        text primary key,
    ahead_ms    bigint not null,
    -- The times that Graph reports are concluded from.
    agrees      boolean not null,
    measured_at timestamptz not null default clock_timestamp()
);
