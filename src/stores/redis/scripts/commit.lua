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
        index, unindex, embed   texts
        drop             the same four for each log, texts
ARGV  call number, memo's seconds, channel, number of shards; for each shard: number of batches; for each batch: shape,
      partition, values
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
        i collection id scope order               index. 2 values: terms as search-texts.lua finds them, value
        u collection id                           unindex; '' for all of the collection
        m collection id model                     embed. 1 value: vectors, '' for none
        x ifexpired n logs                        drop
      A condition is '' (none), 'a' (absent), 'p' (present) or a version. '' stands for what was not given.
Gives one string of pieces between NULs, for each batch:
      o position results…       committed ('' for no change);  r the same, of a batch that was committed before
      f operation n pieces…     a condition failed: the operation's place from 0, and where things stand
      g n logs…                 a drop that did not declare all logs, which are these; nothing was done
Errors STALE: the writer has done a later call already; nothing was done.
]]
local K, A = KEYS, ARGV
local call, find, sub, format, concat = redis.call, string.find, string.sub, string.format, table.concat
local NUL = '\0'
local ZERO = '8000000000000000'

-- include call-begin

local out, o = {}, 0
-- The last key and value taken.
local k, a = 1, 4
local plans, changed = {}, false

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

-- The last piece taken of the shape P.
local p, P = 0, nil
local index, counter, version, versions
local have, fields, changes, c, tenant, rest, pk
-- The batch has put something into the partition that the journal does not tell.
local filled

-- include commit-facts
-- include commit-judge
-- include commit-emit
-- include commit-texts
-- include commit-apply
-- include commit-batch

for _ = 1, tonumber(A[4]) do
  local journal, receipts, order = K[k + 1], K[k + 4], K[k + 5]
  index, counter, versions = K[k + 2], K[k + 3], nil
  k, a = k + 5, a + 1
  for _ = 1, tonumber(A[a]) do commit_batch(journal, receipts, order) end
  if versions then call('SET', counter, format('%.0f', versions)) end
end

-- include call-end
