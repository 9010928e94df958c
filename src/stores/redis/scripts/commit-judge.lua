-- Part of commit.lua: conditions. All of a batch are judged before its first write.

-- A counter's fields after adding, or nil when one is no number any more. A counter is 'field NUL number NUL …'.
local function add_up(value, n)
  local names, sums, places = {}, {}, {}
  if value and value ~= '' then
    local pieces, count = split(value)
    for i = 1, count, 2 do
      names[#names + 1] = pieces[i]
      sums[#names] = tonumber(pieces[i + 1])
      places[pieces[i]] = #names
    end
  end
  for i = 1, n do
    local name, delta = P[p + i * 2], tonumber(P[p + i * 2 + 1])
    local place = places[name]
    if not place then
      place = #names + 1
      names[place], sums[place], places[name] = name, 0, place
    end
    sums[place] = sums[place] + delta
    if sums[place] ~= sums[place] or math.abs(sums[place]) == math.huge then return nil end
  end
  local packed = {}
  for i = 1, #names do
    packed[i * 2 - 1], packed[i * 2] = names[i], format('%.17g', sums[i])
  end
  return concat(packed, NUL), #names
end

local function ends_elsewhere(iflast, start)
  if iflast == '' and start == '' then return nil end
  local last = last_seq(K[k + 1])
  if (iflast ~= '' and iflast ~= last) or (start ~= '' and tonumber(start) <= tonumber(last)) then
    return { last }
  end
end

-- Judge one operation. Give nothing where it holds, else where things stand.
local JUDGE = {
  c = function(field)
    if not holds(P[p + 1], have[field]) then return { version_of(have[field]) } end
  end,
  p = function(field)
    local meta, given = have[field], P[p + 2]
    local fine = holds(P[p + 1], meta)
    if fine and given ~= '' and meta then fine = tonumber(version_of(meta)) <= tonumber(given) end
    if not fine then return { version_of(meta) } end
  end,
  ['+'] = function(field)
    local meta = have[field]
    if meta and sub(meta, -2) ~= '\0c' then return { '' } end
    if add_up(have[field + 1], tonumber(P[p + 1])) then return nil end
    local facts = split(have[field + 1])
    table.insert(facts, 1, 'c')
    return facts
  end,
  a = function() return ends_elsewhere(P[p + 2], P[p + 3]) end,
  w = function()
    local seq, wanted = P[p + 2], P[p + 3]
    local current = entry_state(K[k + 1], K[k + 2], seq)
    if not current or (wanted ~= '' and wanted ~= current) then return { current or '' } end
  end,
  t = function() return ends_elsewhere(P[p + 4], '') end,
  e = function() end,
  x = function()
    local wanted, expiry = P[p + 1], have[1]
    if wanted == '' or not expiry then return nil end
    if expiry == '' then return { '' } end
    if tonumber(sub(expiry, 17)) > tonumber(wanted) then return { sub(expiry, 17) } end
  end,
}
JUDGE.d = JUDGE.c
JUDGE.A = JUDGE.a
JUDGE.i, JUDGE.u, JUDGE.m = JUDGE.e, JUDGE.e, JUDGE.e
