-- Give back leases. KEYS: the leases. ARGV: 1 owner
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then redis.call('DEL', lease) end
end
