-- Part of commit.lua and append.lua: how a call begins. What a writer was answered last is kept: a call that is tried
-- again gets that answer, and one that comes late does nothing.
do
  local known = call('GET', K[1])
  if known then
    local cut = find(known, NUL, 1, true)
    local done, this = tonumber(sub(known, 1, cut - 1)), tonumber(A[1])
    if done == this then
      -- A write, so that WAIT on this connection waits for what an earlier one may have left on its way.
      call('EXPIRE', K[1], A[2])
      return sub(known, cut + 1)
    end
    if done > this then return redis.error_reply('STALE a later call of this writer was done') end
  end
end

local time = call('TIME')
-- In microseconds: what was committed after another commit was answered is told after it.
local at = time[1] .. format('%06d', time[2])
