#!lua
-- Use up a recovery code: of all attempts one gets it, and the same attempt gets it again.
--
-- KEYS[1]  mark of a used code: hash
-- ARGV[1]  attempt, or nothing when the code is void and nobody is to have it
-- ARGV[2]  how long the mark is kept, in ms
-- returns  {'ok'}, for a repetition too; {'used'}, {'newer'}: nothing changed
local m = redis.call('HMGET', KEYS[1], 'v', 'by')
if m[1] and tonumber(m[1]) > 1 then return {'newer'} end
if m[2] and m[2] ~= ARGV[1] then return {'used'} end
redis.call('HSET', KEYS[1], 'v', 1, 'by', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok'}
