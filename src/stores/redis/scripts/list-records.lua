#!lua flags=no-writes
--[[
Lists records of a partition by their names ('kind NUL id').

KEYS  hash, names
ARGV  from, to (bounds as ZRANGE BYLEX takes them), limit, 'rev' or ''
Gives a list: name, meta, value of each record.
]]
local names
if ARGV[4] == 'rev' then
  names = redis.call('ZRANGE', KEYS[2], ARGV[2], ARGV[1], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3])
else
  names = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
end
local found = {}
for start = 1, #names, 1000 do
  local fields = {}
  for i = start, math.min(start + 999, #names) do
    fields[#fields + 1] = '\0' .. names[i]
    fields[#fields + 1] = names[i]
  end
  local values = redis.call('HMGET', KEYS[1], unpack(fields))
  for i = 1, #values, 2 do
    found[#found + 1] = names[start + (i - 1) / 2]
    found[#found + 1] = values[i]
    found[#found + 1] = values[i + 1]
  end
end
return found
