#!lua flags=no-writes
-- Read a part of all revocations. It never says ok: nothing was written.
--
-- KEYS[1]  revocations that still concern somebody: sorted set
-- ARGV[1]  where to go on, 0 at first
-- ARGV[2]  about so many
-- returns  {'read', where to go on or 0 at the end, revocation as JSON text, its score, ...}
local found = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
return {'read', found[1], unpack(found[2])}
