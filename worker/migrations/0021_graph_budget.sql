-- What Meta allows, as all workers know it together (docs/decisions/39). A row is updated often and has no index beside its key.
create table worker.graph_budget (
    scope        text primary key,          -- `app:<app>` or `account:<channel>/<account>`
    percent      integer,                   -- of the allowance, by the headers of the latest answer that had any
    measured_at  timestamptz,               -- when that answer came
    closed_until timestamptz,               -- no call before
    closed_ms    bigint,                    -- for how long that was, when it was written
    next_slot    timestamptz                -- the next call to the Conversations API
) with (fillfactor = 50);
