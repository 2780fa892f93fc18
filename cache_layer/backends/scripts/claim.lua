-- Leases to load. KEYS: the leases. ARGV: 1 owner, 2 how long a lease lives, in ms
local claimed = {}
for index, lease in ipairs(KEYS) do
  local free = redis.call('SET', lease, ARGV[1], 'NX', 'PX', ARGV[2])
  if free or redis.call('GET', lease) == ARGV[1] then
    claimed[#claimed + 1] = index
  end
end
return claimed
