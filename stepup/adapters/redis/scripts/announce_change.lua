#!lua
-- Tell every instance that policies, clients or keys changed.
--
-- KEYS[1]  changes: stream
-- ARGV[1]  how long the stream is kept, in ms
-- ARGV[2]  how many entries are kept
-- returns  {'ok', id}
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'v', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'ok', id}
