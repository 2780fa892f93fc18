-- Run first on every new connection. A Redis that was restarted from a snapshot holds entries that
-- were invalidated after the snapshot was taken; a new run id, on a restart or on a replica that
-- took over, therefore ends the generation. No connection survives a restart, so none reads before.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('HGET', STATE, 'run') ~= run then
  begin_generation()
  redis.call('HSET', STATE, 'run', run)
end
