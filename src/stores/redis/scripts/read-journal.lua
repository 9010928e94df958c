#!lua flags=no-writes
--[[
Reads the journals of shards.

KEYS  journals
ARGV  for each: the position to read after ('' for the oldest), and how many changes at most
Gives a list, for each journal: the position that it was trimmed up to, its last position, how many changes follow, and
these. They lie one after the other from the position on: a journal has no holes.
]]
local call, sub, format = redis.call, string.sub, string.format
local out, o = {}, 0
for i = 1, #KEYS do
  local trimmed, last, found = '0', '0', {}
  if call('EXISTS', KEYS[i]) == 1 then
    local info = call('XINFO', 'STREAM', KEYS[i])
    local length
    for j = 1, #info, 2 do
      if info[j] == 'length' then length = info[j + 1] end
      if info[j] == 'last-generated-id' then last = sub(info[j + 1], 3) end
    end
    trimmed = format('%.0f', tonumber(last) - length)
    local after, count = ARGV[i * 2 - 1], ARGV[i * 2]
    if count ~= '0' and after ~= last then
      found = call('XRANGE', KEYS[i], after == '' and '-' or '(0-' .. after, '+', 'COUNT', count)
    end
  end
  out[o + 1], out[o + 2], out[o + 3] = trimmed, last, #found
  o = o + 3
  for j = 1, #found do out[o + j] = found[j][2][2] end
  o = o + #found
end
return out
