-- Part of commit.lua: what it tells, the caller and the journal.

local function emit(piece)
  o = o + 1
  out[o] = piece
end

local function change(...)
  changes[c + 1] = concat({ ... }, NUL)
  c = c + 1
end
