-- Part of commit.lua and append.lua: how a call ends.
local reply = concat(out, NUL)
call('SET', K[1], A[1] .. NUL .. reply, 'EX', A[2])
if changed then call('SPUBLISH', A[3], '1') end
return reply
