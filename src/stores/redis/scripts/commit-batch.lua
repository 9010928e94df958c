-- Part of commit.lua: one batch, whatever its operations are.

-- How many fields, keys and pieces of the shape an operation takes.
local FIELDS = { c = 1, p = 1, ['+'] = 2, d = 1, a = 1, A = 1 }
local KEYS_OF = { a = 1, A = 3, w = 3, t = 4, i = 1, u = 1, m = 1, x = 1 }
local PIECES = { c = 1, p = 4, ['+'] = 1, d = 1, a = 4, A = 4, w = 4, t = 4, e = 1, i = 4, u = 2, m = 3, x = 2 }

-- Takes a step over the operation whose code is the last piece that was taken.
local function step(code)
  if code == 'p' then p = p + P[p + 4] * 3
  elseif code == '+' then p = p + P[p + 1] * 2
  elseif code == 'x' then
    k = k + P[p + 2] * 4
    p = p + P[p + 2]
  end
  k = k + (KEYS_OF[code] or 0)
  p = p + PIECES[code]
end

-- The logs of a partition that is to be dropped, where not all of them are declared.
local function undeclared(names, first)
  if P[first + 1] ~= 'x' then return nil end
  local declared, missing = {}, false
  for i = 1, P[first + 3] do declared[P[first + 3 + i]] = true end
  local logs = call('ZRANGE', names, '[\0\1', '(\1', 'BYLEX')
  for i = 1, #logs do
    logs[i] = sub(logs[i], 2)
    missing = missing or not declared[logs[i]]
  end
  if missing then return logs end
end

local function emit_list(list)
  emit(#list)
  for i = 1, #list do emit(list[i]) end
end

-- Tells what is wrong with a batch and gives true, or leaves the cursors at its operations.
local function refuse(operations, names)
  local logs = undeclared(names, p)
  if logs then
    emit('g')
    emit_list(logs)
    return true
  end
  local keys_at, first, field = k, p, 2
  for i = 0, operations - 1 do
    p = p + 1
    local code = P[p]
    local facts = JUDGE[code](field)
    if facts then
      emit('f')
      emit(i)
      emit_list(facts)
      return true
    end
    field = field + (FIELDS[code] or 0)
    step(code)
  end
  k, p = keys_at, first
end

local function apply_all(operations, hash, names)
  local field, dropped = 2, false
  for _ = 1, operations do
    p = p + 1
    local code = P[p]
    APPLY[code](field, hash, names)
    field = field + (FIELDS[code] or 0)
    dropped = code == 'x'
    step(code)
  end
  if (c > 0 or filled) and not have[1] and not dropped then
    call('HSETNX', hash, '', '')
    partition_places('ZADD')
  end
end

local function read_fields(hash)
  if #fields <= 1000 then return call('HMGET', hash, unpack(fields)) end
  local all = {}
  for i = 1, #fields, 1000 do
    local part = call('HMGET', hash, unpack(fields, i, math.min(i + 999, #fields)))
    for j = 1, #part do all[i + j - 1] = part[j] end
  end
  return all
end

local function commit_batch(journal, receipts, order)
  local plan = plans[A[a + 1]] or plan_of(A[a + 1])
  local operations = plan[4]
  P, fields, p = plan[1], plan[2], plan[3]
  pk = A[a + 2]
  local hash, names, id = K[k + 1], K[k + 2], P[1]
  k, a = k + 2, a + 2
  local keys_end, values_end = k + P[3], a + P[2]
  local before = id ~= '' and call('HGET', receipts, pk .. NUL .. id)
  if not before then have = read_fields(hash) end
  if before then
    emit('r')
    emit(before)
  elseif not refuse(operations, names) then
    split_partition()
    changes, c, version, filled = {}, 0, nil, false
    emit('o')
    emit('')
    local place = o
    apply_all(operations, hash, names)
    if c > 0 then
      local told = pk .. NUL .. id .. NUL .. at .. NUL .. (c == 1 and changes[1] or concat(changes, NUL))
      out[place] = tell(journal, told)
      changed = true
    end
    if id ~= '' then
      local position = out[place] == '' and last_seq(journal) or out[place]
      call('HSET', receipts, pk .. NUL .. id, concat(out, NUL, place, o))
      call('ZADD', order, position, pk .. NUL .. id)
    end
  end
  k, a = keys_end, values_end
end
