-- Begin an epoch of the change feed and refuse every load now in flight. ARGV: 4 epoch, 5 term,
-- 6.. the families it covers
free_first()
ensure_generation()
local epoch, term = ARGV[4], tonumber(ARGV[5])
if term < proof.term then return tell(0) end
redis.call('HDEL', STATE, unpack(NO_PROOF))
redis.call('HSET', STATE, 'epoch', epoch, 'term', term)
for i = 6, #ARGV do redis.call('HSET', STATE, 'covered:' .. ARGV[i], epoch) end
raise_floor(redis.call('HINCRBY', STATE, 'count', 1))
return tell(1)
