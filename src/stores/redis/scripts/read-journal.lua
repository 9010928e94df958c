#!lua flags=no-writes
--[[
Reads the journals of shards.

KEYS  journals
ARGV  for each: the position to read after ('' for the oldest), and how many changes at most
Gives a list, for each journal: the position that it was trimmed up to, its last position, whether it knows the position
to read after ('1' or '0'), how many changes follow, and for each of these its position and text. It knows what it has,
what it was trimmed up to, and its end: any other position is older, or was lost together with the end of the journal.
]]
local call, sub = redis.call, string.sub
local out, o = {}, 0

-- The position that a journal was trimmed up to, which trim-journal.lua leaves in the stream, and the last one.
local function ends_of(journal)
  local trimmed, last = '0', '0'
  if call('EXISTS', journal) == 0 then return trimmed, last end
  local info = call('XINFO', 'STREAM', journal)
  for i = 1, #info, 2 do
    if info[i] == 'max-deleted-entry-id' then trimmed = sub(info[i + 1], 3) end
    if info[i] == 'last-generated-id' then last = sub(info[i + 1], 3) end
  end
  return trimmed, last
end

for i = 1, #KEYS do
  local trimmed, last = ends_of(KEYS[i])
  local after, count = ARGV[i * 2 - 1], tonumber(ARGV[i * 2])
  local known, found, first = after == '' or after == trimmed or after == last, {}, 1
  if after == '' or after == trimmed then
    if count > 0 then found = call('XRANGE', KEYS[i], '-', '+', 'COUNT', count) end
  elseif after ~= last then
    found = call('XRANGE', KEYS[i], '0-' .. after, '+', 'COUNT', count + 1)
    known = #found > 0 and found[1][1] == '0-' .. after
    first = 2
  end
  local n = known and #found - first + 1 or 0
  out[o + 1], out[o + 2], out[o + 3], out[o + 4] = trimmed, last, known and '1' or '0', n
  o = o + 4
  for j = first, first + n - 1 do
    out[o + 1], out[o + 2] = sub(found[j][1], 3), found[j][2][2]
    o = o + 2
  end
end
return out
