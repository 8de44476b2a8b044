#!lua
-- Add a heartbeat to the feed, unless its last entry is young enough; drop what is too old.
--
-- KEYS[1]  feed: stream
-- KEYS[2]  number of the last revocation in the feed
-- ARGV[1]  now, in ms
-- ARGV[2]  how long after the last entry a heartbeat is due, in ms
-- ARGV[3]  how long the feed and its number are kept, in ms; entries older than that are dropped
-- returns  {'ok'}; {'quiet'}: somebody was there before
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
-- The second value of an entry; whoever comes from a clock that was set back is no reason to wait.
if last and math.abs(ARGV[1] - (tonumber(last[2][4]) or 0)) < tonumber(ARGV[2]) then
  return {'quiet'}
end
local number = redis.call('GET', KEYS[2]) or '0'
redis.call('XADD', KEYS[1], 'MINID', '~', ARGV[1] - ARGV[3], '*', 'v', 1, 'at', ARGV[1], 'seq', number)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {'ok'}
