-- Put before every script. All instants and durations are in microseconds.
-- KEYS: each account, a list: how many are counted in all, then instant, number, instant, number,
--       the oldest first
-- ARGV: 1 now, or nothing for Redis' own clock, 2 the period,
--       then for each account its amount and the length of its slots
local now, period = tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000000 + clock[2]
end

local function amount_of(place)
  return tonumber(ARGV[1 + 2 * place])
end

local function total_of(key)
  return tonumber(redis.call('LINDEX', key, 0) or 0)
end

-- Lua would write large numbers with an exponent.
local function text(instant)
  return string.format('%.0f', instant)
end

local function set_total(key, total)
  if total > 0 then
    redis.call('LSET', key, 0, total)
  else
    redis.call('DEL', key)
  end
end

local function drop_expired(key)
  local newest = redis.call('LINDEX', key, -2)
  if not newest then return end
  if tonumber(newest) > now + period then -- the clock was set back
    redis.call('DEL', key)
    return
  end
  local oldest = redis.call('LINDEX', key, 1)
  if tonumber(oldest) > now - period then return end
  local total = tonumber(redis.call('LPOP', key))
  while oldest and tonumber(oldest) <= now - period do
    redis.call('LPOP', key)
    total = total - tonumber(redis.call('LPOP', key))
    oldest = redis.call('LINDEX', key, 0)
  end
  if oldest then redis.call('LPUSH', key, total) end
end

-- In how long there is room for one more in every account; 0 is now.
local function wait()
  local longest = 0
  for place, key in ipairs(KEYS) do
    drop_expired(key)
    local left, at = total_of(key), 1
    while left >= amount_of(place) do
      local frees_at = tonumber(redis.call('LINDEX', key, at)) + period
      left = left - tonumber(redis.call('LINDEX', key, at + 1))
      at = at + 2
      longest = math.max(longest, frees_at - now)
    end
  end
  return longest
end

-- Count one in every account; return at which instants.
local function count_one()
  local instants = {}
  for place, key in ipairs(KEYS) do
    local slot = tonumber(ARGV[2 + 2 * place])
    local instant, total = now + (slot - now % slot) % slot, total_of(key)
    local newest = tonumber(redis.call('LINDEX', key, -2) or 0)
    if total > 0 and newest >= instant then
      instant = newest
      redis.call('LSET', key, -1, tonumber(redis.call('LINDEX', key, -1)) + 1)
    else
      if total == 0 then redis.call('RPUSH', key, 0) end
      redis.call('RPUSH', key, text(instant), 1)
    end
    set_total(key, total + 1)
    redis.call('PEXPIRE', key, math.ceil((period + slot) / 1000) + 1)
    instants[place] = instant
  end
  return instants
end
