#!lua
-- Keep a snapshot of the configuration, unless a newer one stands there.
--
-- KEYS[1]  snapshot: hash
-- ARGV[1]  version of the configuration
-- ARGV[2]  the sealed configuration
-- ARGV[3]  the sealed moment at which it was confirmed
-- ARGV[4]  the newer version that gives way nevertheless, as it is written there, or 0
-- ARGV[5]  how long it is kept, in ms
-- returns  {'ok'}; {'behind'} a newer one stands there; {'newer'}: nothing changed
local held = redis.call('HMGET', KEYS[1], 'v', 'version')
if held[1] and tonumber(held[1]) > 1 then return {'newer'} end
local kept = tonumber(held[2]) or 0
if kept > tonumber(ARGV[1]) and held[2] ~= ARGV[4] then return {'behind'} end
redis.call('HSET', KEYS[1], 'v', 1, 'version', ARGV[1], 'sealed', ARGV[2], 'confirmed', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'ok'}
