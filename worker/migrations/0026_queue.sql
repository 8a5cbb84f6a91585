-- Imports that wait: few among many commands, asked for by every look at the queue.
create index commands_imports on worker.commands (identity) where command = 'sync' and state = 'open';
