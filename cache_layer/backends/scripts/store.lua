-- The guarded store. ARGV: 3 the order (JSON), 4.. payloads
local full = is_full()
ensure_generation()
local order = cjson.decode(ARGV[3])
return tell(store(order, full and refuse_all(order) or find_refusals(order, {}), 4))
