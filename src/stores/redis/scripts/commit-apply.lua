-- Part of commit.lua: the operations, once they were judged.

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
  drop_texts(names, K[k + n * 4 + 1])
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
  i = index_text,
  u = remove_texts,
  m = embed_text,
  x = function(_, hash, names)
    emit(have[1] and '1' or '0')
    if not have[1] then return end
    drop(names, hash, tonumber(P[p + 2]))
    change('x', P[p + 1] == '' and '0' or '1')
  end,
}
