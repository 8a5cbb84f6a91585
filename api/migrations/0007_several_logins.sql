-- A browser keeps its cookie for several logins, such as one in each of two tabs: a login is found by its `state` or its id, and compared
-- with the cookie.
alter table api.connects drop constraint connects_browser_key;
create index connects_by_browser on api.connects (browser);
