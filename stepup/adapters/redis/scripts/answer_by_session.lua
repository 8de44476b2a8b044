#!lua
-- Answer a pending challenge by what its browser has proved before.
--
-- KEYS[1]  challenge: hash
-- ARGV[1]  now, in ms
-- ARGV[2]  digest of the browser's cookie
-- ARGV[3]  attempt
-- ARGV[4]  what was proved, as JSON members
-- ARGV[5]  when it was proved, in ms
-- returns  {'ok', field, value, ...}: the challenge, for a repetition too; {'gone'}, {'other'}:
--          another browser has it, {'ended'}: it was answered or cancelled, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state', 'expires_at', 'browser', 'by')
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
if h[4] ~= ARGV[2] then return {'other'} end
if h[5] ~= ARGV[3] then
  if h[2] ~= 'pending' then return {'ended'} end
  if tonumber(h[3]) <= tonumber(ARGV[1]) then return {'gone'} end
  redis.call('HSET', KEYS[1], 'state', 'verified', 'passed', ARGV[4], 'verified_at', ARGV[5], 'by', ARGV[3])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
