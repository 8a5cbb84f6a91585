-- The picture, sticker or film of a comment, as `{type, url}`. Rows get it when they are computed next: `hookline rebuild` computes all.
alter table inbox_v1.comments add column attachment jsonb;
