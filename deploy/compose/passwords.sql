-- Gives the roles of `hookline db apply` their passwords. Run by compose.yaml with psql; files from secrets.sh.
\set ON_ERROR_STOP on
\set worker `cat "$SECRETS/postgres_worker"`
\set projector `cat "$SECRETS/postgres_projector"`
\set api `cat "$SECRETS/postgres_api"`
\set operator `cat "$SECRETS/postgres_operator"`
alter role hookline_worker password :'worker';
alter role hookline_projector password :'projector';
alter role hookline_api password :'api';
alter role hookline_operator password :'operator';
