#!lua
-- Give back a refresh token that an attempt has used: undo what its rotation wrote.
--
-- KEYS[1]  refresh: hash
-- ARGV[1]  attempt
-- ARGV[2]  count of the token
-- returns  {'ok'}; {'unspent'}: nobody has used it, {'other'}: another attempt has, or all have ended,
--          {'gone'}, {'newer'}
local f = redis.call('HMGET', KEYS[1], 'v', 'n', 'by', 'ended')
if not f[1] then return {'gone'} elseif tonumber(f[1]) > 1 then return {'newer'} end
if f[2] == ARGV[2] and not f[4] then return {'unspent'} end
if tonumber(f[2]) ~= ARGV[2] + 1 or f[3] ~= ARGV[1] or f[4] then return {'other'} end
redis.call('HSET', KEYS[1], 'n', ARGV[2])
redis.call('HDEL', KEYS[1], 'by', 'at')
return {'ok'}
