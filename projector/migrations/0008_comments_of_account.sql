-- A list of one account's comments reads no others'.
create index comments_of_account on inbox_v1.comments (account_id, channel, created_at desc) where not stub;
