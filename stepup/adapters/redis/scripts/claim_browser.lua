#!lua
-- Tie a challenge to the first browser that brings its request_uri.
--
-- KEYS[1]  challenge: hash
-- ARGV[1]  now, in ms
-- ARGV[2]  digest of the secret in the request_uri
-- ARGV[3]  digest of the browser's cookie
-- returns  {'ok', field, value, ...}: the challenge; {'gone'}, {'other'}: another browser has it,
--          {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'uri', 'browser', 'state', 'expires_at')
if not h[1] or h[2] ~= ARGV[2] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
if h[4] == 'pending' and tonumber(h[5]) <= tonumber(ARGV[1]) then return {'gone'} end
if h[3] and h[3] ~= ARGV[3] then return {'other'} end
redis.call('HSET', KEYS[1], 'browser', ARGV[3])
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
