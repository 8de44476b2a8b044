#!lua
-- Give a token a place in its window's status list that no other has; the same token gets it again.
--
-- KEYS[1]  lists of the window: hash; the token of each place that is taken
-- KEYS[2]  tokens in the order in which they got places: list
-- ARGV[1]  token
-- ARGV[2]  what can end it
-- ARGV[3]  name of the list that begins where none has room
-- ARGV[4]  so many places of a list are given
-- ARGV[5]  how long all of it is kept, in ms
-- ARGV[6]  a place that it may have, and so on
-- returns  {'ok', list, place}; {'taken'}, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'list', 'n')
if h[1] and tonumber(h[1]) > 1 then return {'newer'} end
local list = h[2]
if not list or tonumber(h[3]) >= tonumber(ARGV[4]) then list = ARGV[3] end
for i = 6, #ARGV do
  local field = list .. ':' .. ARGV[i]
  local by = redis.call('HGET', KEYS[1], field)
  if by == ARGV[1] or not by then
    if not by then
      local n = list == h[2] and h[3] + 1 or 1
      redis.call('HSET', KEYS[1], 'v', 1, 'list', list, 'n', n, field, ARGV[1])
      redis.call('RPUSH', KEYS[2], list .. ' ' .. ARGV[i] .. ' ' .. ARGV[2])
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    redis.call('PEXPIRE', KEYS[2], ARGV[5])
    -- The write that WAIT speaks of, on every path that says ok.
    redis.call('HINCRBY', KEYS[1], 'w', 1)
    return {'ok', list, ARGV[i]}
  end
end
return {'taken'}
