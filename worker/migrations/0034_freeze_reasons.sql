-- Why sending was stopped: whoever finds a freeze must know whether it may end.
alter table worker.freezes add column reason text;
