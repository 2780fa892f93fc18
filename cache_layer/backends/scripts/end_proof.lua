-- End the epoch of the change feed. ARGV: 4 term, -1 for none
free_first()
ensure_generation()
local term = tonumber(ARGV[4])
if term >= 0 and term < proof.term then return tell({0, {}}) end
redis.call('HDEL', STATE, unpack(NO_PROOF))
if term >= 0 then redis.call('HSET', STATE, 'term', term) end
-- What only the proof has kept is due when it would have lapsed.
local expired, by_ms = {}, math.max(now_ms, proof.lapses_ms + 1)
proof.epoch = ''
sweep(MAX_DROPS, expired, by_ms)
return tell({1, flat(expired)})
