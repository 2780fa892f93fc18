-- Put before every script that touches entries. All keys share one hash tag, so one slot.
-- KEYS: 1 state (hash), 2 tags (sorted set of 'tag\0key'), 3 meta (hash), 4 uses (by last use),
--       5 deadlines (by expiry, ms)
-- ARGV: 1 the prefix of the strings that hold payloads, 2 a fresh name for a generation, 3 how old an
--       entry may come to be that is proven fresh, in ms
--
-- Redis may lose any one of these keys (maxmemory, a hand with DEL). What would then be unknown,
-- which entries a tag has or which loads are out of date, ends the generation: all entries go and
-- every load in flight is refused. Payloads carry their own expiry, so none is left behind. The same
-- where the account of bytes does not cover the entries there are. What expires in silence leaves the
-- account when it is swept; an empty cache begins it anew.
--
-- At its limit of memory (maxmemory, noeviction) Redis refuses a script at the first command that may
-- take memory, unless one that removes or writes has run before. So what must be done, above all an
-- invalidation, begins with `free_first`; the few bytes its marks take are within their own bound.
-- What may be left undone, such as a store, asks `is_full` before anything else.
local STATE, TAGS, META, USES, DEADLINES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PAYLOADS, CONFIRMED_MS = ARGV[1], tonumber(ARGV[3])
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now_us / 1000)
local generation

-- What Redis 7 takes on 64 bits, measured (tests/cache_layer/backends/test_memory.py): for an entry,
-- whose key is in four places; for each of its tags, in two, once with the key; and for a mark.
local ENTRY_BYTES, TAG_BYTES, MARK_BYTES = 600, 150, 200
-- One step makes room by dropping so many entries and one more for each that comes; Redis serves
-- nobody else meanwhile.
local MAX_DROPS = 1000
-- Of so many entries that a step has ended it tells, as key, family, cause and age in ms.
local MAX_TOLD = 1000
local ended = {}

-- What a script answers: what it was asked, and what it has ended.
local function tell(answer)
  return {answer, ended}
end

local function free_first()
  redis.call('UNLINK', PAYLOADS)
end

-- Whether Redis has no memory left for what comes. Asked before the script's first write.
local function is_full()
  local answer = redis.pcall('SET', PAYLOADS, '', 'XX')
  return type(answer) == 'table' and answer.err ~= nil and string.find(answer.err, 'OOM') ~= nil
end

-- A deployment that is no more leaves nothing for good. Whoever stores or invalidates gives the keys
-- that have no entry's own expiry as long anew: twice as long as any entry may live. Losing them after
-- that is safe, as above.
local KEPT_MS = 14 * 24 * 3600 * 1000
local function is_short_kept(key)
  local left_ms = redis.call('PTTL', key) -- -1: for good, -2: there is none
  return left_ms ~= -2 and left_ms < KEPT_MS / 2
end

local function keep()
  if is_short_kept(STATE) or is_short_kept(META) then
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, KEPT_MS) end
  end
end

local function begin_generation()
  redis.call('UNLINK', STATE, TAGS, META, USES, DEADLINES)
  generation = ARGV[2]
  redis.call('HSET', STATE, 'generation', generation, 'count', 0, 'floor', 0)
  redis.call('ZADD', TAGS, 0, '!' .. generation)
  keep()
end

-- The proof of the change feed, see proof.py: no epoch is '', none confirmed -1.
local proof = {epoch = '', confirmed_ms = -1, lapses_ms = -1, term = 0}
local NO_PROOF = {'epoch', 'confirmed', 'lapses'}

local function ensure_generation()
  local known = redis.call(
    'HMGET', STATE, 'generation', 'accounted', 'cost', 'epoch', 'confirmed', 'lapses', 'term'
  )
  generation = known[1]
  if not generation or not redis.call('ZSCORE', TAGS, '!' .. generation) then
    return begin_generation()
  end
  local stored_proof = {
    epoch = known[4] or '', confirmed_ms = tonumber(known[5] or '-1'),
    lapses_ms = tonumber(known[6] or '-1'), term = tonumber(known[7] or '0'),
  }
  local entries = redis.call('HLEN', META)
  local accounted = tonumber(known[2] or '0')
  if entries ~= redis.call('ZCARD', USES) or entries ~= redis.call('ZCARD', DEADLINES)
    or entries ~= accounted then
    return begin_generation()
  elseif entries == 0 and known[3] then
    redis.call('HDEL', STATE, 'cost')
  end
  proof = stored_proof
end

local function raise_floor(floor)
  redis.call('HSET', STATE, 'floor', floor, 'floored', string.format('%.0f:%.0f', floor, now_ms))
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

-- What an entry takes of the bound in bytes.
local function cost_of(entry, payload)
  local cost = ENTRY_BYTES + 4 * #entry.key + #payload
  for _, tag in ipairs(entry.tags) do
    cost = cost + TAG_BYTES + 2 * #tag + #entry.key
  end
  return cost
end

local function account(family, entries, payload_bytes, cost)
  redis.call('HINCRBY', STATE, 'entries:' .. family, entries)
  redis.call('HINCRBY', STATE, 'bytes:' .. family, payload_bytes)
  redis.call('HINCRBY', STATE, 'accounted', entries)
  redis.call('HINCRBY', STATE, 'cost', cost)
end

local function is_meta(meta)
  if type(meta) ~= 'table' or type(meta.tags) ~= 'table' then return false end
  for _, tag in ipairs(meta.tags) do
    if type(tag) ~= 'string' then return false end
  end
  return type(meta.family) == 'string' and type(meta.version) == 'string'
    and type(meta.stamp) == 'number' and type(meta.size) == 'number'
    and type(meta.stored_ms) == 'number' and type(meta.expires_ms) == 'number'
    and (meta.ends_ms == nil or type(meta.ends_ms) == 'number')
    and (meta.epoch == nil or type(meta.epoch) == 'string' and meta.ends_ms ~= nil)
end

-- The instant until which the feed proves an entry to be fresh, as things stand; through the whole of
-- the ms in which the proof lapses. Where the clock went back nobody knows.
local function proven_until(meta)
  if not meta.epoch or meta.epoch ~= proof.epoch then return 0 end
  if proof.confirmed_ms < 0 or proof.confirmed_ms > now_ms then return 0 end
  return math.min(proof.lapses_ms + 1, meta.ends_ms, meta.stored_ms + CONFIRMED_MS)
end

-- The instant until which an entry is served, as things stand.
local function live_until(meta)
  return math.max(meta.expires_ms, proven_until(meta))
end

local function is_live(meta)
  return meta.expires_ms > now_ms or proven_until(meta) > now_ms
end

-- What we keep of an entry, or nil. Where that is not ours, nobody knows which tags the entry had, and
-- every script that comes to it would fail for ever: all begins anew, and only this script fails.
local function meta_of(key)
  local packed = redis.call('HGET', META, key)
  if not packed then return nil end
  local is_read, meta = pcall(cmsgpack.unpack, packed)
  if is_read and is_meta(meta) then return meta end
  begin_generation()
  error({err = 'ERR what is kept of an entry is not ours'})
end

-- Note how an entry ends. What has expired came to its time, however late it is dropped.
local function note_ending(key, meta, cause)
  if #ended >= 4 * MAX_TOLD then return end
  local until_ms = math.min(now_ms, live_until(meta))
  if not is_live(meta) then cause = 'expired' end
  for _, told in ipairs({key, meta.family, cause, math.max(0, until_ms - meta.stored_ms)}) do
    ended[#ended + 1] = told
  end
end

-- Remove an entry and all that points to it, for this cause; returns its meta, or nil.
local function drop(key, cause)
  local meta = meta_of(key)
  if not meta then return nil end
  note_ending(key, meta, cause)
  for _, tag in ipairs(meta.tags) do
    redis.call('ZREM', TAGS, tag .. '\0' .. key)
  end
  redis.call('HDEL', META, key)
  redis.call('ZREM', USES, key)
  redis.call('ZREM', DEADLINES, key)
  redis.call('UNLINK', PAYLOADS .. key)
  -- Without a cost: an entry that a process of the release before this one put in another's place.
  -- Taken from zero, because Redis reads no "-0".
  account(meta.family, -1, 0 - meta.size, 0 - (meta.cost or 0))
  return meta
end

-- Look at the `limit` entries that are due first, by now or by another time, and drop those that have
-- expired. One that is proven fresh is due again when its proof lapses. Returns how many were due.
local function sweep(limit, expired, by_ms)
  local due = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', by_ms or now_ms, 'LIMIT', 0, limit)
  for _, key in ipairs(due) do
    local meta = meta_of(key)
    local until_ms = live_until(meta)
    if until_ms > now_ms then
      redis.call('ZADD', DEADLINES, until_ms, key)
    else
      drop(key, 'expired')
      add(expired, meta.family)
    end
  end
  return #due
end

-- The count of a mark, and when it was set, in ms.
local function mark_of(name)
  local count, set_at = string.match(redis.call('HGET', STATE, name) or '', '^(%d+)@?(%d*)')
  return tonumber(count) or 0, tonumber(set_at) or 0
end

-- When the floor was raised, in ms. A process of the release before this one does not say: then now.
local function floored_at()
  local floor = number('floor')
  if floor == 0 then return 0 end
  local noted, at = string.match(redis.call('HGET', STATE, 'floored') or '', '^(%d+):(%d+)$')
  if tonumber(noted) == floor then return tonumber(at) end
  raise_floor(floor)
  return now_ms
end

-- Take an entry's epoch from it where no proof may cover it: of what was invalidated shortly before
-- the load began, not all may have been seen by it. Objects do not lag, only collections, whose tags
-- have a slash (keys.py).
local function withhold_epoch(order, entry)
  if not entry.epoch then return end
  local since_ms = order.began_ms - order.settle_ms
  local is_provable = entry.epoch == proof.epoch and floored_at() < since_ms
    and redis.call('HGET', STATE, 'covered:' .. entry.family) == proof.epoch
  local names = {'k:' .. entry.key}
  for _, tag in ipairs(entry.tags) do
    if string.find(tag, '/', 1, true) then names[#names + 1] = 't:' .. tag end
  end
  for _, name in ipairs(names) do
    local _, set_at = mark_of(name)
    is_provable = is_provable and set_at < since_ms
  end
  if not is_provable then entry.epoch = nil end
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
  if entry.ttl_ms <= 0 and not entry.epoch then return 'too old' end
  return nil
end

local function put(entry, payload, cost)
  local meta = {
    family = entry.family, version = entry.version, tags = entry.tags,
    stamp = redis.call('HINCRBY', STATE, 'stamp', 1), stored_ms = now_ms,
    expires_ms = now_ms + entry.ttl_ms, size = #payload, cost = cost, ahead = entry.ahead,
  }
  local held_ms, keep_ms = entry.ttl_ms, entry.keep_ms
  if entry.epoch then
    keep_ms = keep_ms or CONFIRMED_MS
    meta.epoch, held_ms = entry.epoch, math.max(held_ms, keep_ms)
  end
  meta.ends_ms = keep_ms and now_ms + keep_ms
  redis.call('HSET', META, entry.key, cmsgpack.pack(meta))
  redis.call('SET', PAYLOADS .. entry.key, payload, 'PX', math.max(1, held_ms))
  redis.call('ZADD', USES, now_us, entry.key)
  redis.call('ZADD', DEADLINES, meta.expires_ms, entry.key)
  for _, tag in ipairs(entry.tags) do
    redis.call('ZADD', TAGS, 0, tag .. '\0' .. entry.key)
  end
  account(entry.family, 1, #payload, cost)
end

-- Make room for one more entry: what expired goes first, then the least recently used. Returns
-- whether there is room.
local function make_room(order, cost, gone)
  while true do
    local has_place = redis.call('HLEN', META) < order.max_entries
    if has_place and number('cost') + cost <= order.max_bytes_of_entries then return true end
    if gone.allowed <= 0 then return false end
    local swept = sweep(100, gone.expired)
    if swept == 0 then
      local oldest = redis.call('ZRANGE', USES, 0, 0)[1]
      if not oldest then
        redis.call('HSET', STATE, 'cost', 0)
        return true
      end
      local family = drop(oldest, 'evicted').family
      add(gone.evicted, family)
      if has_place then add(gone.evicted_for_bytes, family) end
    end
    gone.allowed = gone.allowed - math.max(swept, 1)
  end
end

-- Store what was not refused and has room.
local function store(order, refused, first_payload)
  local gone = {
    evicted = {}, evicted_for_bytes = {}, expired = {}, allowed = MAX_DROPS + #order.entries,
  }
  sweep(20, gone.expired)
  for index, entry in ipairs(order.entries) do
    if not refused[entry.key] then
      local payload = ARGV[first_payload + index - 1]
      local cost = cost_of(entry, payload)
      if cost > order.max_entry_bytes then
        refused[entry.key] = 'too large'
      else
        drop(entry.key, 'replaced')
        if make_room(order, cost, gone) then
          put(entry, payload, cost)
        else
          refused[entry.key] = 'no room'
        end
      end
    end
  end
  keep()
  local provable = {}
  for _, entry in ipairs(order.entries) do
    if entry.epoch and not refused[entry.key] then provable[#provable + 1] = entry.key end
  end
  local reasons = {}
  for key, reason in pairs(refused) do
    reasons[#reasons + 1] = key
    reasons[#reasons + 1] = reason
  end
  return {
    reasons, provable, generation, number('count'), now_ms, proof.epoch,
    flat(gone.evicted), flat(gone.evicted_for_bytes), flat(gone.expired),
  }
end

local function refuse_all(order)
  local refused = {}
  for _, entry in ipairs(order.entries) do refused[entry.key] = 'no room' end
  return refused
end

local function find_refusals(order, also)
  local refused = {}
  for _, entry in ipairs(order.entries) do
    withhold_epoch(order, entry)
    refused[entry.key] = find_refusal(order, entry, also)
  end
  return refused
end

local function mark_bytes()
  return redis.call('HLEN', STATE) * MARK_BYTES
end

-- Marks are needed only as long as a load may take, in an epoch for so much longer as what was loaded
-- after one is not proven, and not below the floor, which is raised where
-- they are too many. A few are looked at each time, more than were `added`, so that they become fewer
-- and the cost does not grow with them; HSCAN's cursor is kept with them.
local function forget_old_marks(order, added)
  if mark_bytes() > order.max_mark_bytes then
    raise_floor(number('count'))
  end
  local remembered_ms = order.horizon_ms + (proof.epoch == '' and 0 or order.settle_ms)
  local floor = number('floor')
  local cursor = redis.call('HGET', STATE, 'cursor') or '0'
  local page = redis.call('HSCAN', STATE, cursor, 'COUNT', 32 + 4 * added)
  for i = 1, #page[2], 2 do
    local count, set_at = string.match(page[2][i + 1], '^(%d+)@(%d+)$')
    local is_old = set_at and tonumber(set_at) < now_ms - remembered_ms
    if is_old or (count and tonumber(count) <= floor) then
      redis.call('HDEL', STATE, page[2][i])
    end
  end
  redis.call('HSET', STATE, 'cursor', page[1])
end

-- Count one invalidation, mark, and remove every entry that has one of the tags or keys.
local function invalidate(order, tags, keys)
  free_first()
  local mark = redis.call('HINCRBY', STATE, 'count', 1) .. '@' .. string.format('%.0f', now_ms)
  local removed = {}
  local function remove(key)
    local meta = drop(key, 'invalidated')
    if meta and is_live(meta) then add(removed, meta.family) end
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
  forget_old_marks(order, #tags + #keys)
  keep()
  return flat(removed)
end

