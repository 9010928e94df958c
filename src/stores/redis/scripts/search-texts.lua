#!lua flags=no-writes
--[[
Walks the text documents of partitions, and tells which terms each of them holds. It stops after some hundreds, so that
nobody waits long for it, and is called again to go on from there.

KEYS  names and texts of each partition
ARGV  collection, scope ('' for any), the id to go on after in the first partition ('' for none), how many documents may
      be given with their values ('' for none), and the terms as they are stored: the first character of each tells where
      it begins, as none but a first one is a capital or before '0'
Gives one string of pieces between NULs: how many partitions were walked whole, the id to go on after in the next one or
'', whether there are values ('1' or '0'), and for each document: its partition's place from 0, id, order, a character
for each term that it holds ('!' is the first), and where there are values, its value. They are given where the walk came
to its end and found no more documents than that.
]]
local K, A = KEYS, ARGV
local call, find, sub, byte, concat = redis.call, string.find, string.sub, string.byte, table.concat
local NUL = '\0'
local STEP, MOST, MOST_BYTES = 32, 256, 1048576
local collection, scope, after, limit = A[1], A[2], A[3], tonumber(A[4])
local first, last = '\0\0' .. collection .. NUL, '(\0\0' .. collection .. '\1'
local letters = {}
for i = 5, #A do letters[i] = string.char(i + 28) end

local out, o = {}, 3
local documents, d = {}, 0
local walked, bytes = 0, 0

-- The terms that stand in a document behind `from`.
local function held(document, from)
  local found, n = {}, 0
  for i = 5, #A do
    local at, term = from, A[i]
    while true do
      local _, to = find(document, term, at, true)
      if not to then break end
      local behind = byte(document, to + 1)
      if not behind or behind < 48 or (behind > 57 and behind < 97) then
        n = n + 1
        found[n] = letters[i]
        break
      end
      at = to + 1
    end
  end
  return concat(found)
end

local function add(place, name, document)
  local cut = find(document, NUL, 1, true)
  local second = find(document, NUL, cut + 1, true)
  if scope ~= '' and sub(document, cut + 1, second - 1) ~= scope then return end
  d = d + 1
  documents[d] = {
    place = place,
    name = name,
    order = sub(document, 1, cut - 1),
    held = held(document, second + 1),
  }
end

-- Gives the id to go on after, where there may be more.
local function walk(place, names, texts, from)
  while true do
    local found = call('ZRANGE', names, from, last, 'BYLEX', 'LIMIT', 0, STEP)
    if #found == 0 then return nil end
    from = '(' .. found[#found]
    for i = 1, #found do found[i] = sub(found[i], 3) end
    local terms = call('HMGET', texts, unpack(found))
    for i = 1, #found do
      add(place, found[i], terms[i])
      bytes = bytes + #terms[i]
    end
    walked = walked + #found
    if #found < STEP then return nil end
    if walked >= MOST or bytes >= MOST_BYTES then return sub(from, #first + 2) end
  end
end

local whole, stopped = 0, nil
for i = 1, #K, 2 do
  local from = (i == 1 and after ~= '') and '(' .. first .. after or '[' .. first .. '\1'
  stopped = walk((i - 1) / 2, K[i], K[i + 1], from)
  if stopped then break end
  whole = whole + 1
  if walked >= MOST or bytes >= MOST_BYTES then break end
end

local values = limit and whole * 2 == #K and d <= limit
out[1], out[2], out[3] = whole, stopped or '', values and '1' or '0'
for i = 1, d do
  local document = documents[i]
  local name = document.name
  out[o + 1], out[o + 2] = document.place, sub(name, #collection + 2)
  out[o + 3], out[o + 4] = document.order, document.held
  o = o + 4
  if values then
    local texts = K[document.place * 2 + 2]
    o = o + 1
    out[o] = call('HGET', texts, NUL .. name)
  end
end
return concat(out, NUL)
