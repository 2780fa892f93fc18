-- Confirm up to an instant, in ms. ARGV: 4 epoch, 5 the instant, 6 when the proof lapses,
-- 7 term
free_first()
ensure_generation()
local until_ms, term = tonumber(ARGV[5]), tonumber(ARGV[7])
if proof.epoch == '' or proof.epoch ~= ARGV[4] or term < proof.term
  or until_ms < proof.confirmed_ms or until_ms > now_ms then
  return tell(0)
end
redis.call('HSET', STATE, 'confirmed', ARGV[5], 'lapses', ARGV[6], 'term', term)
return tell(1)
