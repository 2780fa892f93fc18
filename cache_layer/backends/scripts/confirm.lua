-- Confirm up to an instant, in ms. ARGV: 3 epoch, 4 the instant, 5 when the proof lapses, 6 term
free_first()
ensure_generation()
local until_ms, term = tonumber(ARGV[4]), tonumber(ARGV[6])
if proof.epoch == '' or proof.epoch ~= ARGV[3] or term < proof.term
  or until_ms < proof.confirmed_ms or until_ms > now_ms then
  return tell(0)
end
redis.call('HSET', STATE, 'confirmed', ARGV[4], 'lapses', ARGV[5], 'term', term)
return tell(1)
