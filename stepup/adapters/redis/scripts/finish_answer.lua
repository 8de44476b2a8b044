#!lua
-- Record a passed ceremony; of all attempts one answers the challenge.
--
-- KEYS[1]  challenge: hash
-- KEYS[2]  permits: hash; 'd:<attempt>' says that the attempt is recorded
-- ARGV[1]  now, in ms
-- ARGV[2]  attempt
-- ARGV[3]  what the ceremony proved, as JSON
-- ARGV[4]  1 if that answers the challenge, 0 if more is needed
-- returns  {'ok', field, value, ...}: the challenge, for a repetition too;
--          {'gone'}, {'ended'}: another was first, or no permit was given, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state', 'passed')
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
if redis.call('HEXISTS', KEYS[2], 'd:' .. ARGV[2]) == 0 then
  local permitted = redis.call('HEXISTS', KEYS[2], 'p:' .. ARGV[2])
  if h[2] ~= 'pending' or permitted == 0 then return {'ended'} end
  redis.call('HSET', KEYS[2], 'd:' .. ARGV[2], 1)
  redis.call('HSET', KEYS[1], 'passed', h[3] and h[3] .. ',' .. ARGV[3] or ARGV[3])
end
if ARGV[4] == '1' and h[2] == 'pending' then
  redis.call('HSET', KEYS[1], 'state', 'verified', 'verified_at', ARGV[1], 'by', ARGV[2])
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
