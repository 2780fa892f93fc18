-- Live entries and a ticket, in one step. ARGV: 4 whether to mark as used, 5.. keys
ensure_generation()

-- The bytes that were stored, none at all for others, false where nothing is. Others that are as long
-- get through; the reader tells them by what is in them, and no value is written in no bytes.
local function payload_of(key, meta)
  local payload = redis.pcall('GET', PAYLOADS .. key)
  if type(payload) == 'table' or (payload and #payload ~= meta.size) then return '' end
  return payload
end

local found, expired = {}, {}
for i = 5, #ARGV do
  local key = ARGV[i]
  local meta = meta_of(key)
  local payload = meta and is_live(meta) and payload_of(key, meta)
  if payload then
    -- A use that a full Redis cannot note is no reason not to serve.
    if ARGV[4] == '1' then redis.pcall('ZADD', USES, now_us, key) end
    local row = {
      key, meta.family, meta.version, meta.stamp, meta.stored_ms, meta.expires_ms, payload, meta.tags,
      meta.ahead and 1 or 0,
    }
    if meta.ends_ms then
      row[10], row[11] = meta.epoch or '', meta.ends_ms
      row[12] = proven_until(meta) > now_ms and 1 or 0
    end
    found[#found + 1] = row
  elseif meta then
    -- Expired, or Redis dropped the payload for room, which nobody may take for an empty one.
    add(expired, drop(key, 'evicted').family)
  end
end
return tell({generation, number('count'), now_ms, proof.epoch, flat(expired), found})
