-- Remove entries without marking their keys. ARGV: 4.. keys
ensure_generation()
local removed = {}
for i = 4, #ARGV do
  local meta = drop(ARGV[i], 'invalidated')
  if meta and is_live(meta) then add(removed, meta.family) end
end
return tell(flat(removed))
