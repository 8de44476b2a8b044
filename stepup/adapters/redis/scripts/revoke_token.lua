#!lua
-- Mark what is revoked and tell every instance, in one; what ends nothing more is not told again.
--
-- KEYS[1]  mark: hash
-- KEYS[2]  revocations that still concern somebody: sorted set
-- KEYS[3]  feed: stream
-- KEYS[4]  number of the last revocation in the feed
-- ARGV[1]  the revocation as JSON text
-- ARGV[2]  everything from before this moment has ended, in ms
-- ARGV[3]  when the last token concerned has expired, in ms
-- ARGV[4]  how long the mark is kept, in ms
-- ARGV[5]  now, in ms
-- ARGV[6]  how long the feed and its number are kept, in ms; entries older than that are dropped
-- returns  {'ok', number}
local before = redis.call('HGET', KEYS[1], 'before')
local number = redis.call('GET', KEYS[4]) or '0'
if not before or tonumber(before) < tonumber(ARGV[2]) then
  number = redis.call('INCR', KEYS[4])
  redis.call('HSET', KEYS[1], 'v', 1, 'before', ARGV[2], 'until', ARGV[3])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
  redis.call('XADD', KEYS[3], 'MINID', '~', ARGV[5] - ARGV[6], '*',
    'v', 1, 'at', ARGV[5], 'seq', number, 'revocation', ARGV[1])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
redis.call('PEXPIRE', KEYS[3], ARGV[6])
redis.call('PEXPIRE', KEYS[4], ARGV[6])
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', number}
