#!lua
-- Remember an identifier that may be seen once; the attempt that brought it may come again.
--
-- KEYS[1]  identifier: hash
-- ARGV[1]  attempt
-- ARGV[2]  how long it is remembered, in ms
-- returns  {'ok'}; {'seen'}, {'newer'}: nothing changed
local held = redis.call('HMGET', KEYS[1], 'v', 'by')
if held[1] and tonumber(held[1]) > 1 then return {'newer'} end
if held[2] and held[2] ~= ARGV[1] then return {'seen'} end
redis.call('HSET', KEYS[1], 'v', 1, 'by', ARGV[1])
if not held[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {'ok'}
