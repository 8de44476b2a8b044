#!lua
-- Give back a code that an attempt has redeemed: undo what its redemption wrote.
--
-- KEYS[1]  code: hash
-- KEYS[2]  challenge: hash
-- KEYS[3]  once-only token: hash, made by the redemption
-- ARGV[1]  attempt
-- returns  {'ok'}; {'unspent'}: nobody has it, {'other'}: another attempt has it or asked for it, which
--          revoked its token, or the token was used, {'gone'}, {'newer'}: nothing changed
local c = redis.call('HMGET', KEYS[1], 'v', 'by', 'reuse')
local h = redis.call('HGET', KEYS[2], 'v')
if not c[1] or not h then return {'gone'} end
if tonumber(c[1]) > 1 or tonumber(h) > 1 then return {'newer'} end
if not c[2] then return {'unspent'} end
if c[2] ~= ARGV[1] or c[3] or redis.call('HEXISTS', KEYS[3], 'by') == 1 then return {'other'} end
redis.call('HDEL', KEYS[1], 'by', 'redeemed_at', 'n')
redis.call('HSET', KEYS[2], 'state', 'verified')
redis.call('DEL', KEYS[3])
return {'ok'}
