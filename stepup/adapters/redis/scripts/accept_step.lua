#!lua
-- Accept a step that is larger than every one before it.
--
-- KEYS[1]  last step: hash
-- ARGV[1]  step
-- ARGV[2]  attempt, or nothing; it may repeat its own step
-- ARGV[3]  how long the step is remembered, in ms
-- returns  {'ok'}; {'replay'}, {'newer'}: nothing changed
local last = redis.call('HMGET', KEYS[1], 'v', 'step', 'by')
if last[1] and tonumber(last[1]) > 1 then return {'newer'} end
local ahead = tonumber(ARGV[1]) - (tonumber(last[2]) or -1)
local own = ahead == 0 and ARGV[2] ~= '' and last[3] == ARGV[2]
if ahead <= 0 and not own then return {'replay'} end
redis.call('HSET', KEYS[1], 'v', 1, 'step', ARGV[1], 'by', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'ok'}
