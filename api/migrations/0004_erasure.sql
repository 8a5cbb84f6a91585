-- An erasure forgets whom requests were about. They stay, so that a repeated key has no second effect. A reply that was asked for and that no
-- worker has accepted before the erasure is not sent any more.
alter table api.requests add column erased boolean not null default false;

-- Called by the worker, which has no rights to the tables. What was asked for after the erasure stays.
create function api.forget_conversation(of_conversation text, up_to timestamptz) returns void language sql security definer set search_path = pg_catalog as $$
    update api.requests
       set conversation_id = null, message = null, published_at = coalesce(published_at, clock_timestamp()), erased = true
     where conversation_id = of_conversation and created_at <= up_to;
    delete from api.imports where conversation_id = of_conversation;
$$;
