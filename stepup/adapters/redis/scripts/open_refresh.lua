#!lua
-- Keep what a ceremony goes on giving, before the first use of it.
--
-- KEYS[1]  refresh: hash
-- ARGV[1]  what it gives, as JSON text
-- ARGV[2]  until when, in ms
-- ARGV[3]  how long the record is kept, in ms
-- returns  {'ok'}, for a repetition too, which changes nothing once one was used; {'newer'}: nothing changed
local f = redis.call('HMGET', KEYS[1], 'v', 'n', 'ended')
if f[1] and tonumber(f[1]) > 1 then return {'newer'} end
if not f[1] or (f[2] == '0' and not f[3]) then
  redis.call('HSET', KEYS[1], 'v', 1, 'n', 0, 'grant', ARGV[1], 'expires_at', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'opened', 1)
return {'ok'}
