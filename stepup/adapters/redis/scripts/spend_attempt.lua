#!lua
-- Spend one attempt from a GCRA bucket.
--
-- KEYS[1]  bucket: hash with the theoretical arrival time (TAT) in ms
-- ARGV[1]  now, in ms
-- ARGV[2]  emission interval, in ms: the time one attempt takes to come back
-- ARGV[3]  burst: attempts a full bucket allows
-- ARGV[4]  the least that the TAT was, in ms, by the memory of who asks; 0 if he has none
-- returns  {'ok', tat}; {'wait', retry_after_ms}, {'newer'}: nothing changed
local bucket = redis.call('HMGET', KEYS[1], 'v', 'tat')
if bucket[1] and tonumber(bucket[1]) > 1 then return {'newer'} end
local now, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(bucket[2]) or now, now, tonumber(ARGV[4])) + interval
local wait = tat - now - interval * tonumber(ARGV[3])
if wait > 0 then return {'wait', wait} end
redis.call('HSET', KEYS[1], 'v', 1, 'tat', string.format('%d', tat))
-- Full again is the same as gone.
redis.call('PEXPIRE', KEYS[1], tat - now)
return {'ok', tat}
