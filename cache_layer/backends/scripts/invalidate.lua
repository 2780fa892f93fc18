-- By tag and by key. ARGV: 3 the order (JSON)
ensure_generation()
local order = cjson.decode(ARGV[3])
return tell(invalidate(order, order.tags, order.keys))
