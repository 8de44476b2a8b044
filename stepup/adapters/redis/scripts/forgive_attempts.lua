#!lua
-- Give all attempts back, after a success only.
--
-- KEYS[1]  bucket: hash
-- returns  {'ok'}
redis.call('DEL', KEYS[1])
return {'ok'}
