#!lua
--[[
Makes the keyspace, where it is not there yet, and tells what it is.

KEYS  meta
ARGV  format, shards, id
Gives format, shards and id as they are.
]]
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'shards', ARGV[2], 'id', ARGV[3])
end
return redis.call('HMGET', KEYS[1], 'format', 'shards', 'id')
