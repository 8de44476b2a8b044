#!lua
-- Read what was revoked of a token on the primary; with a first line like this a replica refuses to answer.
--
-- KEYS[1]  mark of one thing that the token can end by: hash; and so on
-- returns  {'ok', before, ...}: of each the moment before which all has ended in ms, false without
--          a mark; {'newer'}: a newer release wrote one
local found = {'ok'}
for i = 1, #KEYS do
  local mark = redis.call('HMGET', KEYS[i], 'v', 'before')
  if mark[1] and tonumber(mark[1]) > 1 then return {'newer'} end
  found[i + 1] = mark[1] and (mark[2] or '0')
end
return found
