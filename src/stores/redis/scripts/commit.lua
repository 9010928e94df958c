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

-- Commits a batch that only appends to logs that are there, and checks records: nearly all messages come this way.
local function append_batch(journal)
  local plan = plans[A[a + 1]] or plan_of(A[a + 1])
  local P, p, pk = plan[1], plan[3], A[a + 2]
  local keys_end, values_end = k + 1 + P[3], a + 2 + P[2]
  local have = call('HMGET', K[k + 1], unpack(plan[2]))
  local there = have[1]
  for i = 1, plan[4] do
    local meta = have[i + 1]
    if P[p + 1] == 'a' then
      there = there and meta
      p = p + 5
    elseif holds(P[p + 2], meta) then
      p = p + 2
    else
      out[o + 1], out[o + 2], out[o + 3], out[o + 4] = 'f', i - 1, 1, version_of(meta)
      k, a, o = keys_end, values_end, o + 4
      return
    end
  end
  if not there then
    out[o + 1], out[o + 2] = 'g', 0
    k, a, o = keys_end, values_end, o + 2
    return
  end
  local told, place = pk .. '\0\0' .. at, o + 2
  out[o + 1] = 'o'
  k, a, o, p = k + 1, a + 2, place, plan[3]
  for _ = 1, plan[4] do
    if P[p + 1] == 'a' then
      local n = P[p + 5]
      k, o = k + 1, o + 1
      local seq = sub(call('XADD', K[k], '0-*', 'v', A[a + 1]), 3)
      for i = a + 2, a + n do call('XADD', K[k], '0-*', 'v', A[i]) end
      a = a + n
      out[o] = seq
      told = told .. '\0a\0' .. P[p + 2] .. NUL .. seq .. NUL .. n
      p = p + 5
    else
      p = p + 2
    end
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
      return { 'c', unpack((split(have[field + 1]))) }
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

  local function emit(piece)
    o = o + 1
    out[o] = piece
  end

  local function change(...)
    changes[c + 1] = concat({ ... }, NUL)
    c = c + 1
  end

  -- Removes what is kept beside entries with first <= seq <= last: overlay, ids and marks.
  local function forget_labels(stream, overlay, ids, marks, from, to)
    while true do
      local entries = call('XRANGE', stream, from, to, 'COUNT', 64)
      for i = 1, #entries do
        local seq, fields = sub(entries[i][1], 3), entries[i][2]
        local _, mark = entry_state(stream, overlay, seq)
        if mark ~= '' then call('ZREM', marks, marked(mark, seq)) end
        call('HDEL', overlay, seq)
        for j = 3, #fields, 2 do
          if fields[j] == 'i' then call('HDEL', ids, fields[j + 1]) end
        end
      end
      if #entries < 64 then return end
      from = '(' .. entries[#entries][1]
    end
  end

  -- Removes the entries after `after`, newest first. Streams can't be trimmed at that end: ids are deleted in stretches.
  local function cut_newest(stream, after)
    local count = 0
    while true do
      local newest = call('XREVRANGE', stream, '+', '(0-' .. after, 'COUNT', 1)[1]
      if not newest then return count end
      local top, ids = tonumber(sub(newest[1], 3)), {}
      for seq = top, math.max(tonumber(after) + 1, top - 127), -1 do ids[#ids + 1] = format('0-%.0f', seq) end
      count = count + call('XDEL', stream, unpack(ids))
    end
  end

  local function drop(names, hash, n)
    local records = call('ZRANGE', names, '[\1', '+', 'BYLEX')
    chunked(records, 1000, function(...)
      local part, fields = { ... }, {}
      for i = 1, #part do fields[i] = NUL .. part[i] end
      local metas = call('HMGET', hash, unpack(fields))
      for i = 1, #part do unindex(metas[i], part[i]) end
    end)
    expiry_places('ZREM', have[1])
    partition_places('ZREM')
    call('UNLINK', hash, names)
    for i = 1, n * 4, 4 do call('UNLINK', K[k + i], K[k + i + 1], K[k + i + 2], K[k + i + 3]) end
  end

  -- Remembers a log that is new.
  local function found_log(field, hash, names, log)
    if have[field] then return end
    call('HSET', hash, fields[field], '')
    call('ZADD', names, 0, NUL .. log)
  end

  -- Apply one operation that was judged.
  local APPLY = {
    c = function() end,
    p = function(field, hash, names)
      local given, flag, n = P[p + 2], P[p + 3], tonumber(P[p + 4])
      local key, old = fields[field], have[field]
      local name = sub(key, 2)
      local now = given
      if given == '' then
        now = fresh_version()
      else
        versions = math.max(versions or tonumber(call('GET', counter) or 0), tonumber(given))
      end
      unindex(old, name)
      local meta = now
      if flag ~= '' or n > 0 then meta = now .. NUL .. flag end
      for i = p + 5, p + 2 + n * 3, 3 do
        local place = P[i] .. NUL .. P[i + 1] .. NUL .. P[i + 2]
        meta = meta .. NUL .. place
        call('ZADD', index, 0, concat({ tenant, place, rest, name }, NUL))
      end
      a = a + 1
      call('HSET', hash, key, meta, name, A[a])
      if not old then call('ZADD', names, 0, name) end
      local created = old and '0' or '1'
      emit(now)
      emit(created)
      change('p', name, now, created)
    end,
    ['+'] = function(field, hash, names)
      local key, old = fields[field], have[field]
      local name, now = sub(key, 2), fresh_version()
      local value, count = add_up(have[field + 1], tonumber(P[p + 1]))
      unindex(old, name)
      call('HSET', hash, key, now .. '\0c', name, value)
      if not old then call('ZADD', names, 0, name) end
      local created = old and '0' or '1'
      emit(now)
      emit(created)
      emit(count)
      if count > 0 then emit(value) end
      change('+', name, now, created)
    end,
    d = function(field, hash, names)
      local key, old = fields[field], have[field]
      emit(old and '1' or '0')
      if not old then return end
      local name = sub(key, 2)
      unindex(old, name)
      call('HDEL', hash, key, name)
      call('ZREM', names, name)
      change('d', name)
    end,
    a = function(field, hash, names)
      local log, start, n = P[p + 1], P[p + 3], P[p + 4]
      local stream = K[k + 1]
      local id = call('XADD', stream, start == '' and '0-*' or '0-' .. start, 'v', A[a + 1])
      for i = a + 2, a + n do call('XADD', stream, '0-*', 'v', A[i]) end
      a = a + n
      local seq = sub(id, 3)
      found_log(field, hash, names, log)
      emit(seq)
      c = c + 1
      changes[c] = 'a\0' .. log .. NUL .. seq .. NUL .. n
    end,
    A = function(field, hash, names)
      local log, start, n = P[p + 1], P[p + 3], tonumber(P[p + 4])
      local stream, ids, marks = K[k + 1], K[k + 2], K[k + 3]
      local begin, count = nil, 0
      emit('')
      local place = o
      for _ = 1, n do
        local id, mark, entry_version, value = A[a + 1], A[a + 2], A[a + 3], A[a + 4]
        local seq = id ~= '' and call('HGET', ids, id)
        if not seq then
          local entry = { 'v', value }
          if id ~= '' then entry[3], entry[4] = 'i', id end
          if mark ~= '' then entry[#entry + 1], entry[#entry + 2] = 'm', mark end
          if entry_version ~= '1' then entry[#entry + 1], entry[#entry + 2] = 'n', entry_version end
          local wanted = (begin or start == '') and '0-*' or '0-' .. start
          seq = sub(call('XADD', stream, wanted, unpack(entry)), 3)
          if id ~= '' then call('HSET', ids, id, seq) end
          if mark ~= '' then call('ZADD', marks, 0, marked(mark, seq)) end
          begin = begin or seq
          count = count + 1
        end
        emit(seq)
        a = a + 4
      end
      out[place] = count
      if not begin then return end
      found_log(field, hash, names, log)
      change('a', log, begin, count)
    end,
    w = function()
      local log, seq, mark = P[p + 1], P[p + 2], P[p + 4]
      local current, old = entry_state(K[k + 1], K[k + 2], seq)
      local now = format('%.0f', tonumber(current) + 1)
      local new = mark == '=' and old or sub(mark, 2)
      a = a + 1
      call('HSET', K[k + 2], seq, now .. NUL .. new .. NUL .. A[a])
      if new ~= old then
        if old ~= '' then call('ZREM', K[k + 3], marked(old, seq)) end
        if new ~= '' then call('ZADD', K[k + 3], 0, marked(new, seq)) end
      end
      emit(now)
      change('w', log, seq, now)
    end,
    t = function()
      local log, before, after = P[p + 1], P[p + 2], P[p + 3]
      local stream, count = K[k + 1], 0
      if call('EXISTS', stream) == 1 then
        if call('EXISTS', K[k + 2], K[k + 3], K[k + 4]) > 0 then
          if after ~= '' then forget_labels(stream, K[k + 2], K[k + 3], K[k + 4], '(0-' .. after, '+') end
          if before ~= '' and before ~= '0' then
            forget_labels(stream, K[k + 2], K[k + 3], K[k + 4], '-', '(0-' .. before)
          end
        end
        if after ~= '' then count = cut_newest(stream, after) end
        if before ~= '' then count = count + call('XTRIM', stream, 'MINID', '=', '0-' .. before) end
      end
      emit(count)
      if count == 0 then return end
      local last = last_seq(stream)
      local oldest = call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
      local newest = call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
      local begin = oldest and sub(oldest[1], 3) or format('%.0f', tonumber(last) + 1)
      change('t', log, begin, newest and sub(newest[1], 3) or last)
    end,
    e = function(_, hash)
      local expiry = P[p + 1]
      expiry_places('ZREM', have[1])
      expiry_places('ZADD', expiry)
      call('HSET', hash, '', expiry)
      change('e', sub(expiry, 17))
    end,
    x = function(_, hash, names)
      emit(have[1] and '1' or '0')
      if not have[1] then return end
      drop(names, hash, tonumber(P[p + 2]))
      change('x', P[p + 1] == '' and '0' or '1')
    end,
  }

  -- How many fields, keys and pieces of the shape an operation takes.
  local FIELDS = { c = 1, p = 1, ['+'] = 2, d = 1, a = 1, A = 1 }
  local KEYS_OF = { a = 1, A = 3, w = 3, t = 4 }
  local PIECES = { c = 1, p = 4, ['+'] = 1, d = 1, a = 4, A = 4, w = 4, t = 4, e = 1, x = 2 }

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
    local logs = call('ZRANGE', names, '[\0', '(\1', 'BYLEX')
    for i = 1, #logs do
      logs[i] = sub(logs[i], 2)
      missing = missing or not declared[logs[i]]
    end
    if missing then return { 'g', #logs, unpack(logs) } end
  end

  -- Tells what is wrong with a batch, and leaves the cursors at its operations.
  local function judge_all(operations, names)
    local problem = undeclared(names, p)
    if problem then return problem end
    local keys_at, first = k, p
    local field = 2
    for i = 0, operations - 1 do
      p = p + 1
      local code = P[p]
      local facts = JUDGE[code](field)
      if facts then
        problem = { 'f', i, #facts, unpack(facts) }
        break
      end
      field = field + (FIELDS[code] or 0)
      step(code)
    end
    k, p = keys_at, first
    return problem
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
    if c > 0 and not have[1] and not dropped then
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
    local problem
    if not before then
      have = read_fields(hash)
      problem = judge_all(operations, names)
    end
    if before then
      emit('r')
      emit(before)
    elseif problem then
      for i = 1, #problem do emit(problem[i]) end
    else
      split_partition()
      changes, c, version = {}, 0, nil
      emit('o')
      emit('')
      local place = o
      apply_all(operations, hash, names)
      if c > 0 then
        local told = pk .. NUL .. id .. NUL .. at .. NUL .. (c == 1 and changes[1] or concat(changes, NUL))
        out[place] = sub(call('XADD', journal, '0-*', 'c', told), 3)
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
