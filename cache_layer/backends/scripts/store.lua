-- The guarded store. ARGV: 4 the order (JSON), 5.. payloads
local full = is_full()
ensure_generation()
local order = cjson.decode(ARGV[4])
return tell(store(order, full and refuse_all(order) or find_refusals(order, {}), 5))
