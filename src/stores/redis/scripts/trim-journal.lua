#!lua flags=allow-oom
--[[
Forgets a shard's journal up to and with a position, and the receipts of batches that were committed by then.

KEYS  journal, receipts, receipt order
ARGV  position, the position after it
Gives how many changes went. Up to where, the stream itself is told: it has a field for the last id that was deleted.
]]
local count = redis.call('XTRIM', KEYS[1], 'MINID', '=', '0-' .. ARGV[2])
local info, facts = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #info, 2 do facts[info[i]] = info[i + 1] end
local trimmed = facts['max-deleted-entry-id']
-- Somebody else may have trimmed further meanwhile.
if tonumber(string.sub(trimmed, 3)) < tonumber(ARGV[1]) then trimmed = '0-' .. ARGV[1] end
redis.call('XSETID', KEYS[1], facts['last-generated-id'], 'ENTRIESADDED', facts['entries-added'], 'MAXDELETEDID', trimmed)
while true do
  local old = redis.call('ZRANGE', KEYS[3], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 1000)
  if #old == 0 then return count end
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
