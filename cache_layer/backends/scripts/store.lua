-- The guarded store. ARGV: 3 the order (JSON), 4.. payloads
ensure_generation()
local order = cjson.decode(ARGV[3])
return store(order, find_refusals(order, {}), 4)
