#!lua
-- Add to what was counted of a shadow.
--
-- KEYS[1]  findings: hash
-- ARGV[1]  now, in ms, which is when it began if nothing was counted before
-- ARGV[2]  how long it is kept from now, in ms
-- ARGV[3]  how many counters follow
-- ARGV[4…] field and increment of each counter, then field and text of each example
-- returns  {'ok'}; {'newer'}: nothing changed
local v = redis.call('HGET', KEYS[1], 'v')
if v and tonumber(v) > 1 then return {'newer'} end
redis.call('HSET', KEYS[1], 'v', 1)
redis.call('HSETNX', KEYS[1], 'since', ARGV[1])
local examples = 4 + 2 * tonumber(ARGV[3])
for i = 4, examples - 1, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = examples, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok'}
