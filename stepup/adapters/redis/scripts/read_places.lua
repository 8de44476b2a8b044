#!lua flags=no-writes
-- Read who got places. It never says ok: nothing was written that WAIT could speak of.
--
-- KEYS[1]  tokens in the order in which they got places: list
-- ARGV[1]  number of the first one
-- ARGV[2]  number of the last one
-- returns  {'read', token, ...}
return {'read', unpack(redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2]))}
