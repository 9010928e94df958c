#!lua
--[[
Commits batches that check records, and append plain entries to one log that is there: nearly all messages come this
way. A batch is judged whole before its first write, and one that fails, fails alone.

KEYS  memo, then for each shard: journal; for each of its batches: hash, stream
ARGV  call number, memo's seconds, channel, and a text of pieces, each with a NUL behind it: one long argument is less
      work for both sides than many short ones. Its pieces are
        number of plans; for each plan: log, number of entries, number of checks; for each check: its place among the
        operations from 0, kind and id of its record, and the condition as in commit.lua;
        number of shards; for each shard: number of batches; for each batch: its plan from 1, its entries' values
Gives the same as commit.lua: for each batch, between NULs
      o position seq      committed; the seq is the first entry's
      f operation 1 fact  a check failed: the record's version, or '' where it is not there
      g 0                 the log is not there; nothing was done
Errors STALE: the writer has done a later call already; nothing was done.
]]
local K, A = KEYS, ARGV
local call, find, sub, format, concat = redis.call, string.find, string.sub, string.format, table.concat
local NUL = '\0'

-- include call-begin

local text, from = A[4], 1
local function take()
  local cut = find(text, NUL, from, true)
  local piece = sub(text, from, cut - 1)
  from = cut + 1
  return piece
end

local out, o, k, changed = {}, 0, 1, false
local plans = {}
for i = 1, tonumber(take()) do
  local told, entries = NUL .. NUL .. at .. NUL .. 'a' .. NUL .. take() .. NUL, take()
  local plan, checks = { told = told, behind = NUL .. entries, more = entries - 1 }, {}
  for j = 1, tonumber(take()) do
    checks[j] = { place = take(), field = NUL .. take() .. NUL .. take(), condition = take() }
  end
  plan.checks = checks
  plans[tostring(i)] = plan
end

-- The version of the record whose check fails, and which check it is.
local function failing(checks, hash)
  for j = 1, #checks do
    local check = checks[j]
    local condition, meta = check.condition, call('HGET', hash, check.field)
    local holds
    if condition == 'p' then holds = meta
    elseif condition == 'a' then holds = not meta
    else holds = meta and sub(meta, 1, (find(meta, NUL, 1, true) or 0) - 1) == condition
    end
    if not holds then return check.place, meta and sub(meta, 1, (find(meta, NUL, 1, true) or 0) - 1) or '' end
  end
end

for _ = 1, tonumber(take()) do
  k = k + 1
  local journal = K[k]
  -- A partition's name stands in its hash's key behind the tag and two letters.
  local name_at = #journal - 4
  for _ = 1, tonumber(take()) do
    local plan, hash, stream, value = plans[take()], K[k + 1], K[k + 2], take()
    local place, version = failing(plan.checks, hash)
    local id = not place and call('XADD', stream, 'NOMKSTREAM', '0-*', 'v', value)
    for _ = 1, plan.more do
      value = take()
      if id then call('XADD', stream, '0-*', 'v', value) end
    end
    if id then
      local seq = sub(id, 3)
      local told = sub(hash, name_at) .. plan.told .. seq .. plan.behind
      out[o + 1], out[o + 2], out[o + 3] = 'o', tell(journal, told), seq
      o, changed = o + 3, true
    elseif place then
      out[o + 1], out[o + 2], out[o + 3], out[o + 4] = 'f', place, '1', version
      o = o + 4
    else
      out[o + 1], out[o + 2] = 'g', '0'
      o = o + 2
    end
    k = k + 2
  end
end

-- include call-end
