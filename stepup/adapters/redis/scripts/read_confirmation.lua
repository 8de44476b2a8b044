#!lua
-- Say which snapshot is kept, and not what is in it.
--
-- KEYS[1]  snapshot: hash
-- returns  {'ok', version, sealed moment of confirmation}; {'gone'}; {'newer'}
local held = redis.call('HMGET', KEYS[1], 'v', 'version', 'confirmed')
if not held[1] then return {'gone'} elseif tonumber(held[1]) > 1 then return {'newer'} end
return {'ok', held[2], held[3]}
