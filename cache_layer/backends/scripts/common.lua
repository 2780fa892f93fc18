-- Put before every script that touches entries. All keys share one hash tag, so one slot.
-- KEYS: 1 state (hash), 2 tags (sorted set of 'tag\0key'), 3 meta (hash), 4 uses (by last use),
--       5 deadlines (by expiry, ms)
-- ARGV: 1 the prefix of the strings that hold payloads, 2 a fresh name for a generation
--
-- Redis may lose any one of these keys (maxmemory, a hand with DEL). What would then be unknown,
-- which entries a tag has or which loads are out of date, ends the generation: all entries go and
-- every load in flight is refused. Payloads carry their own expiry, so none is left behind.
local STATE, TAGS, META, USES, DEADLINES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PAYLOADS = ARGV[1]
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now_us / 1000)
local generation

local function begin_generation()
  redis.call('UNLINK', STATE, TAGS, META, USES, DEADLINES)
  generation = ARGV[2]
  redis.call('HSET', STATE, 'generation', generation, 'count', 0, 'floor', 0)
  redis.call('ZADD', TAGS, 0, '!' .. generation)
end

local function ensure_generation()
  generation = redis.call('HGET', STATE, 'generation')
  if not generation or not redis.call('ZSCORE', TAGS, '!' .. generation) then
    return begin_generation()
  end
  local entries = redis.call('HLEN', META)
  if entries ~= redis.call('ZCARD', USES) or entries ~= redis.call('ZCARD', DEADLINES) then
    begin_generation()
  end
end

local function number(name)
  return tonumber(redis.call('HGET', STATE, name) or '0')
end

local function add(tally, family)
  tally[family] = (tally[family] or 0) + 1
end

local function flat(tally)
  local list = {}
  for family, count in pairs(tally) do
    list[#list + 1] = family
    list[#list + 1] = count
  end
  return list
end

local function meta_of(key)
  local packed = redis.call('HGET', META, key)
  return packed and cmsgpack.unpack(packed)
end

-- Remove an entry and all that points to it; returns its meta, or nil.
local function drop(key)
  local meta = meta_of(key)
  if not meta then return nil end
  for _, tag in ipairs(meta.tags) do
    redis.call('ZREM', TAGS, tag .. '\0' .. key)
  end
  redis.call('HDEL', META, key)
  redis.call('ZREM', USES, key)
  redis.call('ZREM', DEADLINES, key)
  redis.call('UNLINK', PAYLOADS .. key)
  redis.call('HINCRBY', STATE, 'entries:' .. meta.family, -1)
  redis.call('HINCRBY', STATE, 'bytes:' .. meta.family, -meta.size)
  return meta
end

-- Drop at most `limit` entries that have expired; returns how many.
local function sweep(limit, expired)
  local due = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now_ms, 'LIMIT', 0, limit)
  for _, key in ipairs(due) do
    add(expired, drop(key).family)
  end
  return #due
end

local function mark_of(name)
  local mark = redis.call('HGET', STATE, name)
  return mark and tonumber(string.match(mark, '^%d+')) or 0
end

-- Why an entry may not be stored, or nil. `also` are tags beside the entry's own.
local function find_refusal(ticket, entry, also)
  if ticket.generation ~= generation then return 'lost' end
  if now_ms - ticket.began_ms > ticket.horizon_ms then return 'too slow' end
  if number('floor') > ticket.count then return 'flushed' end
  if mark_of('k:' .. entry.key) > ticket.count then return 'invalidated' end
  for _, tags in ipairs({entry.tags, also}) do
    for _, tag in ipairs(tags) do
      if mark_of('t:' .. tag) > ticket.count then return 'invalidated' end
    end
  end
  return nil
end

local function put(entry, payload)
  drop(entry.key)
  local meta = {
    family = entry.family, rendered = entry.rendered, version = entry.version, tags = entry.tags,
    stamp = redis.call('HINCRBY', STATE, 'stamp', 1), stored_ms = now_ms,
    expires_ms = now_ms + entry.ttl_ms, size = #payload,
  }
  redis.call('HSET', META, entry.key, cmsgpack.pack(meta))
  redis.call('SET', PAYLOADS .. entry.key, payload, 'PX', entry.ttl_ms)
  redis.call('ZADD', USES, now_us, entry.key)
  redis.call('ZADD', DEADLINES, meta.expires_ms, entry.key)
  for _, tag in ipairs(entry.tags) do
    redis.call('ZADD', TAGS, 0, tag .. '\0' .. entry.key)
  end
  redis.call('HINCRBY', STATE, 'entries:' .. entry.family, 1)
  redis.call('HINCRBY', STATE, 'bytes:' .. entry.family, #payload)
end

-- Store what was not refused and keep to the bound: what expired goes first, then the least
-- recently used.
local function store(order, refused, first_payload)
  local evicted, expired = {}, {}
  for index, entry in ipairs(order.entries) do
    if not refused[entry.key] then
      put(entry, ARGV[first_payload + index - 1])
    end
  end
  sweep(20, expired)
  while redis.call('HLEN', META) > order.max_entries do
    if sweep(100, expired) == 0 then
      add(evicted, drop(redis.call('ZRANGE', USES, 0, 0)[1]).family)
    end
  end
  local reasons = {}
  for key, reason in pairs(refused) do
    reasons[#reasons + 1] = key
    reasons[#reasons + 1] = reason
  end
  return {reasons, generation, number('count'), now_ms, flat(evicted), flat(expired)}
end

local function find_refusals(order, also)
  local refused = {}
  for _, entry in ipairs(order.entries) do
    refused[entry.key] = find_refusal(order, entry, also)
  end
  return refused
end

-- Marks are needed only as long as a load may take. A few are looked at each time, so that the cost
-- does not grow with them; HSCAN's cursor is kept with them.
local function forget_old_marks(horizon_ms)
  local cursor = redis.call('HGET', STATE, 'cursor') or '0'
  local page = redis.call('HSCAN', STATE, cursor, 'COUNT', 32)
  for i = 1, #page[2], 2 do
    local set_at = string.match(page[2][i + 1], '^%d+@(%d+)$')
    if set_at and tonumber(set_at) < now_ms - horizon_ms then
      redis.call('HDEL', STATE, page[2][i])
    end
  end
  redis.call('HSET', STATE, 'cursor', page[1])
end

-- Count one invalidation, mark, and remove every entry that has one of the tags or keys.
local function invalidate(tags, keys, horizon_ms)
  local mark = redis.call('HINCRBY', STATE, 'count', 1) .. '@' .. string.format('%.0f', now_ms)
  local removed = {}
  local function remove(key)
    local meta = drop(key)
    if meta and meta.expires_ms > now_ms then add(removed, meta.family) end
  end
  for _, key in ipairs(keys) do
    redis.call('HSET', STATE, 'k:' .. key, mark)
    remove(key)
  end
  for _, tag in ipairs(tags) do
    redis.call('HSET', STATE, 't:' .. tag, mark)
    local from, to = '[' .. tag .. '\0', '(' .. tag .. '\1'
    for _, member in ipairs(redis.call('ZRANGEBYLEX', TAGS, from, to)) do
      remove(string.sub(member, #tag + 2))
    end
    -- What meta no longer knew, drop could not unlink.
    redis.call('ZREMRANGEBYLEX', TAGS, from, to)
  end
  forget_old_marks(horizon_ms)
  return flat(removed)
end

