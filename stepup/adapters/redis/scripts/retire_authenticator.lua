#!lua
-- Accept nothing of an authenticator any more: the step is larger than any it could bring.
--
-- KEYS[1]  last step: hash
-- ARGV[1]  the largest step there is
-- ARGV[2]  how long that is remembered, in ms
-- returns  {'ok'}; {'newer'}: nothing changed
local v = redis.call('HGET', KEYS[1], 'v')
if v and tonumber(v) > 1 then return {'newer'} end
redis.call('HSET', KEYS[1], 'v', 1, 'step', ARGV[1], 'by', '', 'retired', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok'}
