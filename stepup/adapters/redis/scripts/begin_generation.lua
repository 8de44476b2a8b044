#!lua
-- Begin a generation unless there is one, and say what there is.
--
-- KEYS[1]  generation: hash
-- ARGV[1]  identifier
-- ARGV[2]  now, in ms
-- ARGV[3]  histories of the servers, with spaces between
-- ARGV[4]  floor, in ms; 0 if nothing was lost
-- ARGV[5]  how long it is kept, in ms
-- returns  {'ok', field, value, ...}; {'newer'}: nothing changed
local v = redis.call('HGET', KEYS[1], 'v')
if v and tonumber(v) > 1 then return {'newer'} end
if not v then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'begun_at', ARGV[2], 'histories', ARGV[3])
  redis.call('HSET', KEYS[1], 'floor_at', ARGV[4])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HSET', KEYS[1], 'v', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
