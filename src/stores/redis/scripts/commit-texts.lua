-- Part of commit.lua: text documents. One is two fields of its partition's texts, its name (collection NUL id) with
-- 'order NUL scope NUL terms', and NUL and its name with its value; where it has vectors, its name, NUL and each model with
-- those, and its name and NUL with the models. 'collection NUL NUL scope' has how many documents there are of a scope.

-- Where the shard's index tells that the partition has documents of a scope. No index of records has a name like that.
local function scope_place(collection, scope)
  return concat({ NUL, tenant, collection, scope, rest }, NUL)
end

-- Counts a document of a scope in or out.
local function count_scope(names, texts, collection, scope, step)
  local field = collection .. '\0\0' .. scope
  local count = call('HINCRBY', texts, field, step)
  if count == 0 then
    call('HDEL', texts, field)
    call('ZREM', names, '\0\0' .. field)
    call('ZREM', index, scope_place(collection, scope))
  elseif count == step then
    call('ZADD', names, 0, '\0\0' .. field)
    call('ZADD', index, 0, scope_place(collection, scope))
  end
end

local function scope_of(document)
  local cut = find(document, NUL, 1, true)
  return sub(document, cut + 1, find(document, NUL, cut + 1, true) - 1)
end

local function index_text(_, _, names)
  local texts, collection, scope = K[k + 1], P[p + 1], P[p + 3]
  local name = collection .. NUL .. P[p + 2]
  local old = call('HGET', texts, name)
  local document = P[p + 4] .. NUL .. scope .. NUL .. A[a + 1]
  call('HSET', texts, name, document, NUL .. name, A[a + 2])
  a = a + 2
  filled = true
  if not old then call('ZADD', names, 0, '\0\0' .. name) end
  local before = old and scope_of(old)
  if before == scope then return end
  if before then count_scope(names, texts, collection, before, -1) end
  count_scope(names, texts, collection, scope, 1)
end

local function remove_text(names, texts, collection, name)
  local document = call('HGET', texts, name)
  if not document then return 0 end
  local models = call('HGET', texts, name .. NUL)
  if models then
    for _, model in ipairs(split(models)) do call('HDEL', texts, name .. NUL .. model) end
  end
  call('HDEL', texts, name, NUL .. name, name .. NUL)
  call('ZREM', names, '\0\0' .. name)
  count_scope(names, texts, collection, scope_of(document), -1)
  return 1
end

local function remove_texts(_, _, names)
  local texts, collection, id = K[k + 1], P[p + 1], P[p + 2]
  local count = 0
  if id ~= '' then
    count = remove_text(names, texts, collection, collection .. NUL .. id)
  else
    local first = '\0\0' .. collection
    local all = call('ZRANGE', names, '[' .. first .. '\0\1', '(' .. first .. '\1', 'BYLEX')
    for i = 1, #all do count = count + remove_text(names, texts, collection, sub(all[i], 3)) end
  end
  emit(count)
end

local function embed_text()
  local texts, model = K[k + 1], P[p + 3]
  local name = P[p + 1] .. NUL .. P[p + 2]
  a = a + 1
  if call('HEXISTS', texts, name) == 0 then return end
  local known, models = call('HGET', texts, name .. NUL), {}
  if known then
    for _, other in ipairs(split(known)) do
      if other ~= model then models[#models + 1] = other end
    end
  end
  if A[a] == '' then
    call('HDEL', texts, name .. NUL .. model)
  else
    models[#models + 1] = model
    call('HSET', texts, name .. NUL .. model, A[a])
  end
  if #models == 0 then call('HDEL', texts, name .. NUL)
  else call('HSET', texts, name .. NUL, concat(models, NUL))
  end
end

-- All documents of a partition that goes.
local function drop_texts(names, texts)
  if call('UNLINK', texts) == 0 then return end
  local all = call('ZRANGE', names, '[\0\0', '(\0\1', 'BYLEX')
  for i = 1, #all do
    local cut = find(all[i], '\0\0', 3, true)
    if cut then call('ZREM', index, scope_place(sub(all[i], 3, cut - 1), sub(all[i], cut + 2))) end
  end
end
