-- By tag and by key. ARGV: 4 the order (JSON)
ensure_generation()
local order = cjson.decode(ARGV[4])
return tell(invalidate(order, order.tags, order.keys))
