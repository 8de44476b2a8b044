#!lua
-- Read a whole hash on the primary; with a first line like this one a replica refuses to answer.
--
-- KEYS[1]  any hash that carries its format in v
-- returns  {'ok', field, value, ...}; {'gone'}; {'newer'}: a newer release wrote it
local v = redis.call('HGET', KEYS[1], 'v')
if not v then return {'gone'} elseif tonumber(v) > 1 then return {'newer'} end
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
