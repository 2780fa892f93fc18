-- ARGV: further, for each account, the instant at which one was counted
for place, key in ipairs(KEYS) do
  local instant = ARGV[2 + 2 * #KEYS + place]
  for at = redis.call('LLEN', key) - 2, 1, -2 do
    if redis.call('LINDEX', key, at) == instant then
      local number = tonumber(redis.call('LINDEX', key, at + 1))
      if number > 1 then
        redis.call('LSET', key, at + 1, number - 1)
      else
        -- LREM knows values, not places, and a number may be like another.
        redis.call('LSET', key, at, 'gone')
        redis.call('LSET', key, at + 1, 'gone')
        redis.call('LREM', key, -2, 'gone')
      end
      set_total(key, total_of(key) - 1)
      break
    end
  end
end
return 1
