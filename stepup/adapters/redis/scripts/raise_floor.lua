#!lua
-- Raise the floor of a generation, never lower it, and settle the histories that it holds for.
--
-- KEYS[1]  generation: hash
-- ARGV[1]  floor, in ms; 0 leaves it as it is
-- ARGV[2]  histories of the servers, with spaces between
-- ARGV[3]  how long it is kept, in ms
-- ARGV[4]  the longest that the text of all settled histories may be; the oldest go first
-- returns  {'ok', field, value, ...}; {'gone'}, {'newer'}: nothing changed
local held = redis.call('HMGET', KEYS[1], 'v', 'floor_at', 'histories')
if not held[1] then return {'gone'} elseif tonumber(held[1]) > 1 then return {'newer'} end
local floor = string.format('%d', math.max(tonumber(held[2]), tonumber(ARGV[1])))
local histories = held[3]
for one in string.gmatch(ARGV[2], '%S+') do
  if not string.find(histories, one, 1, true) then histories = histories .. ' ' .. one end
end
-- What was planned has happened, or something else has.
if histories ~= held[3] then redis.call('HDEL', KEYS[1], 'leaving', 'leaving_until') end
histories = string.sub(histories, -tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'floor_at', floor, 'histories', histories)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'ok', unpack(redis.call('HGETALL', KEYS[1]))}
