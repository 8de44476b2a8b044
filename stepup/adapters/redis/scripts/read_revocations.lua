#!lua flags=no-writes
-- Read the feed from a place on. It never says ok: nothing was written that WAIT could speak of.
--
-- KEYS[1]  feed: stream
-- KEYS[2]  number of the last revocation in the feed
-- ARGV[1]  the last entry that was read
-- ARGV[2]  at most so many entries
-- returns  {'read', 1 if the entry of ARGV[1] is still there, number, {id, fields} of the last entry or false,
--           {id, fields}, ...}
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1] or false
local known = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
return {'read', known and 1 or 0, redis.call('GET', KEYS[2]) or '0', last, unpack(entries)}
