-- Entries and bytes by family, once the expired are gone, and what all of it takes of the bound.
ensure_generation()
local expired, sizes = {}, {}
while sweep(500, expired) == 500 do end
local fields = redis.call('HGETALL', STATE)
for i = 1, #fields, 2 do
  local what, family = string.match(fields[i], '^(%l+):(.+)$')
  if what == 'entries' or what == 'bytes' then
    sizes[#sizes + 1] = {what, family, tonumber(fields[i + 1])}
  end
end
return tell({sizes, flat(expired), number('cost') + mark_bytes()})
