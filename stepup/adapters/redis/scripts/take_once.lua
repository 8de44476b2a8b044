#!lua
-- Take a value, once.
--
-- KEYS[1]  value: string
-- returns  {'ok', value}; {'gone'}
local value = redis.call('GETDEL', KEYS[1])
if not value then return {'gone'} end
return {'ok', value}
