-- Invalidate, then store only what nobody else invalidated since. ARGV: 4 the order, 5.. payloads
local full = is_full()
ensure_generation()
local order = cjson.decode(ARGV[4])
-- Refusals first: the marks set next are our own.
local refused = full and refuse_all(order) or find_refusals(order, order.tags)
local keys = {}
for _, entry in ipairs(order.entries) do keys[#keys + 1] = entry.key end
local removed = invalidate(order, order.tags, keys)
return tell({removed, store(order, refused, 5)})
