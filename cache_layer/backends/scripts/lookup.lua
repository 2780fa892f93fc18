-- Live entries and a ticket, in one step. ARGV: 3 whether to mark as used, 4.. keys
ensure_generation()
local found, expired = {}, {}
for i = 4, #ARGV do
  local key = ARGV[i]
  local meta = meta_of(key)
  local payload = meta and meta.expires_ms > now_ms and redis.call('GET', PAYLOADS .. key)
  if payload then
    -- A use that a full Redis cannot note is no reason not to serve.
    if ARGV[3] == '1' then redis.pcall('ZADD', USES, now_us, key) end
    found[#found + 1] = {
      key, meta.family, meta.rendered and 1 or 0, meta.version, meta.stamp,
      meta.stored_ms, meta.expires_ms, payload, meta.tags,
    }
  elseif meta then
    -- Expired, or Redis dropped the payload for room, which nobody may take for an empty one.
    add(expired, drop(key, 'evicted').family)
  end
end
return tell({generation, number('count'), now_ms, flat(expired), found})
