#!lua
--[[
Commits batches: all of one shard where Redis is a cluster, of any shards on a single server. A batch is judged whole
before its first write, and one that fails, fails alone.

KEYS  memo, then for each shard: journal, index, counter, receipts, receipt order; then for each of its batches: hash,
      names, and for its operations in order
        append           stream
        append (labels)  stream, ids, marks
        rewrite          stream, overlay, marks
        truncate         stream, overlay, ids, marks
        drop             the same four for each log
      Of a shard whose batches only append to logs that are there: journal; for each batch: hash, and its streams.
ARGV  call number, memo's seconds, channel, number of shards; for each shard: number of batches, behind it a '+' if all
      its keys are declared; for each batch: shape, partition, values
      A shape has NULs between its pieces; batches of a kind share one, which is taken apart once. It is batch id or '',
      number of values, of keys (but for hash and names), of what to read before it is judged, in the operations' order,
        r kind id         a record's meta field
        v kind id         that and its value
        l log             the field of a log
      number of operations, and
        c condition                               check
        p condition version flag n triples        put; n index places of 3 pieces: index, key, order. 1 value
        + n (field delta)*                        add
        d condition                               delete
        a log iflast start n                      append; n values
        A log iflast start n                      append with labels; n times the values id, mark, version, value
        w log seq ifversion mark                  rewrite; mark is '=' (keep), '-' (take away) or '+' and it. 1 value
        t log before after iflast                 truncate
        e expiry                                  expire; '' or 16 hex digits of its order and the time
        x ifexpired n logs                        drop
      A condition is '' (none), 'a' (absent), 'p' (present) or a version. '' stands for what was not given.
Gives one string of pieces between NULs, for each batch:
      o position results…       committed ('' for no change);  r the same, of a batch that was committed before
      f operation n pieces…     a condition failed: the operation's place from 0, and where things stand
      g n logs…                 not all keys that it takes were declared, and nothing was done; for a drop, its logs
Errors STALE: the writer has done a later call already; nothing was done.
]]
local K, A = KEYS, ARGV
local call, find, sub, format, concat = redis.call, string.find, string.sub, string.format, table.concat
local NUL = '\0'
local ZERO = '8000000000000000'

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
local out, o = {}, 0
-- The last key and value taken.
local k, a = 1, 4
local plans, short_plans, changed = {}, {}, false
-- How a change in the journal goes on behind its partition, where the batch has no id.
local head = NUL .. NUL .. at

local function split(text)
  local pieces, n, from = {}, 0, 1
  while true do
    local cut = find(text, NUL, from, true)
    n = n + 1
    if not cut then
      pieces[n] = sub(text, from)
      return pieces, n
    end
    pieces[n] = sub(text, from, cut - 1)
    from = cut + 1
  end
end

local function version_of(meta)
  if not meta then return '' end
  local cut = find(meta, NUL, 1, true)
  return cut and sub(meta, 1, cut - 1) or meta
end

local function holds(condition, meta)
  if condition == '' then return true end
  if condition == 'a' then return not meta end
  if condition == 'p' then return meta end
  return meta and version_of(meta) == condition
end

-- A shape taken apart: its pieces, the fields to read, and where the operations begin.
local function plan_of(shape)
  local pieces = split(shape)
  local wanted, w, place = { '' }, 1, 4
  for _ = 1, pieces[4] do
    if pieces[place + 1] == 'l' then
      wanted[w + 1] = NUL .. NUL .. pieces[place + 2]
      w, place = w + 1, place + 2
    else
      local name = pieces[place + 2] .. NUL .. pieces[place + 3]
      wanted[w + 1] = NUL .. name
      w = w + 1
      if pieces[place + 1] == 'v' then
        wanted[w + 1] = name
        w = w + 1
      end
      place = place + 3
    end
  end
  local plan = { pieces, wanted, place + 1, tonumber(pieces[place + 1]) }
  plans[shape] = plan
  return plan
end

-- The same for a batch that only checks records and appends to logs that are there: its checks, and its appends.
local function short_plan_of(shape)
  local plan = plan_of(shape)
  local P, p, checks, appends = plan[1], plan[3], {}, {}
  for i = 1, plan[4] do
    if P[p + 1] == 'a' then
      local told = '\0a\0' .. P[p + 2] .. NUL
      appends[#appends + 1] = { field = i + 1, n = tonumber(P[p + 5]), told = told, count = NUL .. P[p + 5] }
      p = p + 5
    else
      checks[#checks + 1] = { field = i + 1, condition = P[p + 2], place = i - 1 }
      p = p + 2
    end
  end
  plan = { fields = plan[2], checks = checks, appends = appends, keys = 1 + P[3], values = 2 + P[2] }
  short_plans[shape] = plan
  return plan
end

-- Commits such a batch: nearly all messages come this way.
local function append_batch(journal)
  local plan = short_plans[A[a + 1]] or short_plan_of(A[a + 1])
  local key, value, appends = k + 1, a + 2, plan.appends
  k, a = k + plan.keys, a + plan.values
  local have = call('HMGET', K[key], unpack(plan.fields))
  for _, check in ipairs(plan.checks) do
    local meta = have[check.field]
    if not holds(check.condition, meta) then
      out[o + 1], out[o + 2], out[o + 3], out[o + 4] = 'f', check.place, 1, version_of(meta)
      o = o + 4
      return
    end
  end
  local there = have[1]
  for i = 1, #appends do there = there and have[appends[i].field] end
  if not there then
    out[o + 1], out[o + 2] = 'g', 0
    o = o + 2
    return
  end
  local told, place = A[value] .. head, o + 2
  out[o + 1], o = 'o', place
  for i = 1, #appends do
    local append, stream = appends[i], K[key + i]
    local seq = sub(call('XADD', stream, '0-*', 'v', A[value + 1]), 3)
    for entry = value + 2, value + append.n do call('XADD', stream, '0-*', 'v', A[entry]) end
    value, o = value + append.n, o + 1
    out[o] = seq
    told = told .. append.told .. seq .. append.count
  end
  out[place] = sub(call('XADD', journal, '0-*', 'c', told), 3)
  changed = true
end

-- Makes what commits the batches of a shard whose keys are all declared. Making it takes longer than an append: it is
-- made in calls that need it.
local function make_general()
  -- The last piece taken of the shape P.
  local p, P = 0, nil
  local index, counter, version, versions
  local have, fields, changes, c, tenant, rest, pk

  -- include commit-facts
  -- include commit-judge
  -- include commit-apply
  -- include commit-batch

  return function(batches)
    local journal, receipts, order = K[k + 1], K[k + 4], K[k + 5]
    index, counter, versions = K[k + 2], K[k + 3], nil
    k = k + 5
    for _ = 1, batches do commit_batch(journal, receipts, order) end
    if versions then call('SET', counter, format('%.0f', versions)) end
  end
end

local general
for _ = 1, tonumber(A[4]) do
  a = a + 1
  local batches = A[a]
  if sub(batches, -1) == '+' then
    general = general or make_general()
    general(tonumber(sub(batches, 1, -2)))
  else
    k = k + 1
    local journal = K[k]
    for _ = 1, tonumber(batches) do append_batch(journal) end
  end
end

local reply = concat(out, NUL)
call('SET', K[1], A[1] .. NUL .. reply, 'EX', A[2])
if changed then call('SPUBLISH', A[3], '1') end
return reply
