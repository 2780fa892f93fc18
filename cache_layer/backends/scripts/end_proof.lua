-- End the epoch of the change feed. ARGV: 3 term, -1 for none
free_first()
ensure_generation()
local term = tonumber(ARGV[3])
if term >= 0 and term < proof.term then return tell({0, {}}) end
redis.call('HDEL', STATE, unpack(NO_PROOF))
if term >= 0 then redis.call('HSET', STATE, 'term', term) end
return tell({1, {}})
