#!lua
-- Note that the snapshot that is kept was confirmed again.
--
-- KEYS[1]  snapshot: hash
-- ARGV[1]  the version that was confirmed
-- ARGV[2]  the sealed moment at which it was
-- ARGV[3]  how long it is kept from now, in ms
-- returns  {'ok'}; {'other'} another version stands there, or none; {'newer'}: nothing changed
local held = redis.call('HMGET', KEYS[1], 'v', 'version')
if held[1] and tonumber(held[1]) > 1 then return {'newer'} end
if held[2] ~= ARGV[1] then return {'other'} end
redis.call('HSET', KEYS[1], 'confirmed', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'ok'}
