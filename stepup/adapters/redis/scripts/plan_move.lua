#!lua
-- Announce that the server will be left without losing anything, so that no floor is raised.
--
-- KEYS[1]  generation: hash
-- ARGV[1]  history of the server
-- ARGV[2]  until when that holds, in ms; 0 takes it back
-- returns  {'ok'}; {'gone'}: there is nothing to announce it to, {'newer'}: nothing changed
local v = redis.call('HGET', KEYS[1], 'v')
if not v then return {'gone'} elseif tonumber(v) > 1 then return {'newer'} end
redis.call('HSET', KEYS[1], 'leaving', ARGV[1], 'leaving_until', ARGV[2])
return {'ok'}
