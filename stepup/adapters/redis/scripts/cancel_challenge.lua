#!lua
-- End a pending challenge without an answer.
--
-- KEYS[1]  challenge: hash
-- returns  {'ok', field, value, ...}: the challenge, for a repetition too;
--          {'gone'}, {'ended'}: it was answered, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state')
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
if h[2] ~= 'pending' and h[2] ~= 'denied' then return {'ended'} end
redis.call('HSET', KEYS[1], 'state', 'denied')
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
