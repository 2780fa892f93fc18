-- What is above an amount pushes out the oldest: room depends on the youngest alone.
for _, key in ipairs(KEYS) do
  drop_expired(key)
end
count_one()
for place, key in ipairs(KEYS) do
  local total = total_of(key)
  while total > amount_of(place) do
    local number = tonumber(redis.call('LINDEX', key, 2))
    total = total - 1
    if number > 1 then
      redis.call('LSET', key, 2, number - 1)
    else
      for _ = 1, 3 do redis.call('LPOP', key) end
      redis.call('LPUSH', key, total)
    end
  end
  set_total(key, total)
end
return 1
