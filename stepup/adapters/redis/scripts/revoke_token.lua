#!lua
-- Mark a token as revoked and tell every instance, in one.
--
-- KEYS[1]  mark: hash
-- KEYS[2]  feed: stream
-- KEYS[3]  number of the last entry in the feed
-- ARGV[1]  token
-- ARGV[2]  when it would have expired, in ms
-- ARGV[3]  how long the mark is kept, in ms
-- ARGV[4]  how long the feed and its number are kept, in ms
-- ARGV[5]  entries of the feed before this moment are dropped, in ms
-- returns  {'ok', number}
redis.call('HSET', KEYS[1], 'v', 1, 'until', ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
local number = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[5], '*', 'v', 1, 'seq', number, 'jti', ARGV[1], 'until', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {'ok', number}
