-- Remove entries without marking their keys. ARGV: 3.. keys
ensure_generation()
local removed = {}
for i = 3, #ARGV do
  local meta = drop(ARGV[i], 'invalidated')
  if meta and meta.expires_ms > now_ms then add(removed, meta.family) end
end
return tell(flat(removed))
