#!lua
-- Say which generation this is, and keep it longer.
--
-- KEYS[1]  generation: hash
-- ARGV[1]  how long it is kept, in ms
-- returns  {'ok', field, value, ...}; {'gone'}, {'newer'}: nothing changed
local v = redis.call('HGET', KEYS[1], 'v')
if not v then return {'gone'} elseif tonumber(v) > 1 then return {'newer'} end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
