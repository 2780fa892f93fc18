-- Begin an epoch of the change feed and refuse every load now in flight. ARGV: 3 epoch, 4 term,
-- 5.. the families it covers
free_first()
ensure_generation()
local epoch, term = ARGV[3], tonumber(ARGV[4])
if term < proof.term then return tell(0) end
redis.call('HDEL', STATE, unpack(NO_PROOF))
redis.call('HSET', STATE, 'epoch', epoch, 'term', term)
for i = 5, #ARGV do redis.call('HSET', STATE, 'covered:' .. ARGV[i], epoch) end
redis.call('HSET', STATE, 'floor', redis.call('HINCRBY', STATE, 'count', 1))
return tell(1)
