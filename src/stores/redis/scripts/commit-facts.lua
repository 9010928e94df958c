-- Part of commit.lua: what is there, and the keys and places that follow from it.

local function chunked(list, size, body)
  for i = 1, #list, size do body(unpack(list, i, math.min(i + size - 1, #list))) end
end

-- The version that this batch's records get: the shard's counter is read once and written back at the end.
local function fresh_version()
  if version then return version end
  versions = (versions or tonumber(call('GET', counter) or 0)) + 1
  version = format('%.0f', versions)
  return version
end

local function stream_info(stream)
  if call('EXISTS', stream) == 0 then return nil end
  local info, facts = call('XINFO', 'STREAM', stream), {}
  for i = 1, #info, 2 do facts[info[i]] = info[i + 1] end
  return facts
end

local function last_seq(stream)
  local info = stream_info(stream)
  return info and sub(info['last-generated-id'], 3) or '0'
end

-- An entry's version and mark, or nil.
local function entry_state(stream, overlay, seq)
  local entry = call('XRANGE', stream, '0-' .. seq, '0-' .. seq)[1]
  if not entry then return nil end
  local later = call('HGET', overlay, seq)
  if later then
    local cut = find(later, NUL, 1, true)
    return sub(later, 1, cut - 1), sub(later, cut + 1, find(later, NUL, cut + 1, true) - 1)
  end
  local fields, entry_version, mark = entry[2], '1', ''
  for i = 3, #fields, 2 do
    if fields[i] == 'n' then entry_version = fields[i + 1] end
    if fields[i] == 'm' then mark = fields[i + 1] end
  end
  return entry_version, mark
end

local function marked(mark, seq) return mark .. NUL .. format('%016.0f', tonumber(seq)) end

local function split_partition()
  local cut = find(pk, NUL, 1, true)
  tenant, rest = sub(pk, 1, cut - 1), sub(pk, cut + 1)
end

-- Takes the places of a record out of the index, as its meta field tells them.
local function unindex(meta, name)
  if not meta or not find(meta, NUL, 1, true) then return end
  local pieces, n = split(meta)
  for i = 3, n, 3 do
    local place = concat({ tenant, pieces[i], pieces[i + 1], pieces[i + 2], rest, name }, NUL)
    call('ZREM', index, place)
  end
end

local function partition_places(command)
  local kind = sub(rest, 1, find(rest, NUL, 1, true) - 1)
  local mine = NUL .. ZERO .. NUL .. rest .. NUL .. NUL
  local all = NUL .. ZERO .. NUL .. pk
  local name = NUL .. '$partitions' .. NUL
  local places = { tenant .. name .. kind .. mine, tenant .. name .. mine, name .. kind .. all, name .. all }
  for i = 1, 4 do
    if command == 'ZADD' then call('ZADD', index, 0, places[i]) else call('ZREM', index, places[i]) end
  end
end

local function expiry_places(command, expiry)
  if not expiry or expiry == '' then return end
  local name = NUL .. '$expiry' .. NUL .. NUL .. sub(expiry, 1, 16) .. NUL
  local mine, all = tenant .. name .. rest .. NUL .. NUL, name .. pk
  if command == 'ZADD' then call('ZADD', index, 0, mine, 0, all) else call('ZREM', index, mine, all) end
end
