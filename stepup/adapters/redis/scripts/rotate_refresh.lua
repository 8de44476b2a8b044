#!lua
-- Use a refresh token: of all attempts one gets the next, and the same attempt gets it again.
--
-- KEYS[1]  refresh: hash; n is the count of the token that is good now
-- ARGV[1]  now, in ms
-- ARGV[2]  attempt
-- ARGV[3]  count of the token that came
-- returns  {'ok', used_at_ms, 1 for a repetition}; {'dup'}: another attempt has used one, so all have ended;
--          {'gone'}, {'expired'}, {'newer'}: nothing changed
local f = redis.call('HMGET', KEYS[1], 'v', 'n', 'by', 'at', 'expires_at', 'ended')
if not f[1] then return {'gone'} elseif tonumber(f[1]) > 1 then return {'newer'} end
local n, used = tonumber(f[2]), tonumber(ARGV[3])
-- Whoever found the reuse may have died before it told anybody but us.
if f[6] then return {'dup'} end
local again = used + 1 == n and f[3] == ARGV[2]
if used < n and not again then
  redis.call('HSET', KEYS[1], 'ended', 1)
  return {'dup'}
end
if not again then
  if tonumber(f[5]) <= tonumber(ARGV[1]) then return {'expired'} end
  -- One that is ahead was given out by a server that had more than this one.
  redis.call('HSET', KEYS[1], 'n', used + 1, 'by', ARGV[2], 'at', ARGV[1])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'asked', 1)
return {'ok', redis.call('HGET', KEYS[1], 'at'), again and 1 or 0}
