#!lua flags=allow-oom
--[[
Forgets a shard's journal up to and with a position, and the receipts of batches that were committed by then.

KEYS  journal, receipts, receipt order
ARGV  position, the position after it
Gives how many changes went.
]]
local count = redis.call('XTRIM', KEYS[1], 'MINID', '=', '0-' .. ARGV[2])
while true do
  local old = redis.call('ZRANGE', KEYS[3], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, 1000)
  if #old == 0 then return count end
  redis.call('HDEL', KEYS[2], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
