#!lua
-- Keep a new challenge.
--
-- KEYS[1]  challenge: hash
-- ARGV[1]  how long it is kept, in ms
-- ARGV[2]  its sealed authenticators; no two challenges have the same bytes
-- ARGV[3]  the other fields: name, value, ...
-- returns  {'ok'}, for a repetition too; {'taken'}: nothing changed
local held = redis.call('HGET', KEYS[1], 'sealed')
if held and held ~= ARGV[2] then return {'taken'} end
if not held then
  redis.call('HSET', KEYS[1], 'sealed', ARGV[2], unpack(ARGV, 3))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok'}
