#!lua
-- Count one try before anything is compared, spend the ceremony, and give a permit.
--
-- KEYS[1]  challenge: hash
-- KEYS[2]  ceremonies: hash of 'c:<id>' to '<number>|<expires at, in ms>|<bytes>'
-- KEYS[3]  permits: hash of 'p:<attempt>' to '<method>|', with '=<bytes>' behind it after a ceremony;
--          'd:<attempt>' says that the attempt is recorded
-- ARGV[1]  now, in ms
-- ARGV[2]  method
-- ARGV[3]  attempt
-- ARGV[4]  tries that a method has
-- ARGV[5]  ceremony, or nothing
-- returns  {'ok', permit, field, value, ...}: the challenge, the same for a repetition;
--          {'gone'}, {'ended'}, {'denied'}, {'expired'}: the ceremony, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state', 'expires_at', 't:' .. ARGV[2])
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
local permit = redis.call('HGET', KEYS[3], 'p:' .. ARGV[3])
-- Of all attempts only the one that answered may come again: a wrong answer stays wrong.
if h[2] ~= 'pending' and redis.call('HEXISTS', KEYS[3], 'd:' .. ARGV[3]) == 0 then return {'ended'} end
if not permit then
  if tonumber(h[3]) <= tonumber(ARGV[1]) then return {'gone'} end
  if tonumber(h[4] or 0) >= tonumber(ARGV[4]) then return {'denied'} end
  permit = ARGV[2] .. '|'
  if ARGV[5] ~= '' then
    local held = redis.call('HGET', KEYS[2], 'c:' .. ARGV[5]) or ''
    local ends, bytes = string.match(held, '^%d+|(%d+)|(.*)$')
    if not ends or tonumber(ends) <= tonumber(ARGV[1]) then return {'expired'} end
    redis.call('HDEL', KEYS[2], 'c:' .. ARGV[5])
    permit = permit .. '=' .. bytes
  end
  redis.call('HINCRBY', KEYS[1], 't:' .. ARGV[2], 1)
  redis.call('HSET', KEYS[3], 'v', 1, 'p:' .. ARGV[3], permit)
  redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', permit, unpack(redis.call('HGETALL', KEYS[1]))}
