-- The proof of the change feed, and the time.
ensure_generation()
local covered = {}
if proof.epoch ~= '' then
  local fields = redis.call('HGETALL', STATE)
  for i = 1, #fields, 2 do
    local family = string.match(fields[i], '^covered:(.+)$')
    if family and fields[i + 1] == proof.epoch then covered[#covered + 1] = family end
  end
end
return tell({proof.epoch, covered, proof.confirmed_ms, proof.lapses_ms, proof.term, now_ms})
