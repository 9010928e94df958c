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

local function last_position(stream)
  if call('EXISTS', stream) == 0 then return 0 end
  local info = call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(sub(info[i + 1], 3)) end
  end
end

-- Tells a commit in a journal, and gives its position there. That is the time, so that a position is not given out
-- again for something else by a server that has lost the end of the journal. Where the clock is behind the journal, it
-- goes on from its last position by a step that is not the same twice.
local told_to, position
local function tell(journal, text)
  position = told_to == journal and position + 1 or tonumber(at)
  told_to = journal
  local id = format('0-%.0f', position)
  local added = redis.pcall('XADD', journal, id, 'c', text)
  if type(added) == 'table' then
    position = math.max(position, last_position(journal)) + 1 + tonumber(at) % 997
    added = call('XADD', journal, format('0-%.0f', position), 'c', text)
  end
  return sub(added, 3)
end
