#!lua flags=no-writes
--[[
Reads part of a log, with its bounds.

KEYS  stream, overlay, ids, marks
ARGV  'range', first, last, limit, 'rev' or '';  or 'mark', the same and the mark;  or 'ids', first, last, and ids
      (in no order, without a limit);  or 'runs', first, last, and the first and last seq of each run (without a limit).
      first and last are seqs; last is '' for the end.
Gives one string of pieces between NULs: the first seq, the last one given out, how many entries there are, and for each
entry: seq, version, id or '', mark or '', value.
]]
local call, sub, find, format = redis.call, string.sub, string.find, string.format
local stream, overlay = KEYS[1], KEYS[2]
if call('EXISTS', stream) == 0 then return '1\0000\0000' end
local info = {}
do
  local pairs_of = call('XINFO', 'STREAM', stream)
  for i = 1, #pairs_of, 2 do info[pairs_of[i]] = pairs_of[i + 1] end
end
local length = info['length']
local last = sub(info['last-generated-id'], 3)
local first = sub(info['recorded-first-entry-id'], 3)
if length == 0 then first = format('%.0f', tonumber(last) + 1) end

local from = '0-' .. ARGV[2]
local to = ARGV[3] == '' and '+' or '0-' .. ARGV[3]

local function one(seq)
  local id = '0-' .. seq
  return call('XRANGE', stream, id, id)[1]
end

local function read_range()
  if ARGV[5] == 'rev' then return call('XREVRANGE', stream, to, from, 'COUNT', ARGV[4]) end
  return call('XRANGE', stream, from, to, 'COUNT', ARGV[4])
end

local function read_mark()
  local function bound(seq) return '[' .. ARGV[6] .. '\0' .. format('%016.0f', tonumber(seq)) end
  local low = bound(ARGV[2])
  local high = ARGV[3] == '' and '(' .. ARGV[6] .. '\1' or bound(ARGV[3])
  local found
  if ARGV[5] == 'rev' then
    found = call('ZRANGE', KEYS[4], high, low, 'BYLEX', 'REV', 'LIMIT', 0, ARGV[4])
  else
    found = call('ZRANGE', KEYS[4], low, high, 'BYLEX', 'LIMIT', 0, ARGV[4])
  end
  for i = 1, #found do found[i] = one(format('%.0f', tonumber(sub(found[i], -16)))) end
  return found
end

local function read_ids()
  local from_seq = tonumber(ARGV[2])
  local to_seq = ARGV[3] == '' and math.huge or tonumber(ARGV[3])
  local entries = {}
  for i = 4, #ARGV do
    local seq = call('HGET', KEYS[3], ARGV[i])
    if seq and tonumber(seq) >= from_seq and tonumber(seq) <= to_seq then entries[#entries + 1] = one(seq) end
  end
  return entries
end

local function read_runs()
  local entries = {}
  for i = 4, #ARGV, 2 do
    local run = call('XRANGE', stream, '0-' .. ARGV[i], '0-' .. ARGV[i + 1])
    for j = 1, #run do entries[#entries + 1] = run[j] end
  end
  return entries
end

local entries
if ARGV[1] == 'range' then
  entries = ARGV[4] == '0' and {} or read_range()
elseif ARGV[1] == 'mark' then
  entries = read_mark()
elseif ARGV[1] == 'runs' then
  entries = read_runs()
else
  entries = read_ids()
end

local out, o = { first, last, length }, 3
local rewritten = call('EXISTS', overlay) == 1
for i = 1, #entries do
  local seq, fields = sub(entries[i][1], 3), entries[i][2]
  local version, id, mark, value = '1', '', '', fields[2]
  for j = 3, #fields, 2 do
    local name = fields[j]
    if name == 'i' then id = fields[j + 1] elseif name == 'm' then mark = fields[j + 1] else version = fields[j + 1] end
  end
  local later = rewritten and call('HGET', overlay, seq)
  if later then
    local cut = find(later, '\0', 1, true)
    local second = find(later, '\0', cut + 1, true)
    version, mark, value = sub(later, 1, cut - 1), sub(later, cut + 1, second - 1), sub(later, second + 1)
  end
  out[o + 1], out[o + 2], out[o + 3], out[o + 4], out[o + 5] = seq, version, id, mark, value
  o = o + 5
end
return table.concat(out, '\0')
