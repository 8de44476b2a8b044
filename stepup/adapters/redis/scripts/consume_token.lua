#!lua
-- Use up a once-only token: of all callers one gets it, and the same attempt gets it again.
--
-- KEYS[1]  once-only token: hash; its presence is the permission
-- ARGV[1]  now, in ms
-- ARGV[2]  attempt
-- ARGV[3]  token
-- returns  {'ok', consumed_at_ms}; {'dup', consumed_at_ms}, {'gone'}, {'newer'}: nothing changed
local t = redis.call('HMGET', KEYS[1], 'v', 'by', 'jti', 'consumed_at')
if not t[1] then return {'gone'} elseif tonumber(t[1]) > 1 then return {'newer'} end
if t[2] and (t[2] ~= ARGV[2] or t[3] ~= ARGV[3]) then return {'dup', t[4]} end
if not t[2] then
  redis.call('HSET', KEYS[1], 'by', ARGV[2], 'jti', ARGV[3], 'consumed_at', ARGV[1])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', t[4] or ARGV[1]}
