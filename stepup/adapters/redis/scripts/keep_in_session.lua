#!lua
-- Keep one thing that a browser is remembered for, among the latest few.
--
-- KEYS[1]  session: hash of a name to '<expires at, in ms>|<sealed>'
-- ARGV[1]  now, in ms
-- ARGV[2]  name
-- ARGV[3]  when it expires, in ms
-- ARGV[4]  the thing, sealed
-- ARGV[5]  how many things are kept
-- returns  {'ok'}; {'newer'}: nothing changed
local v = redis.call('HGET', KEYS[1], 'v')
if v and tonumber(v) > 1 then return {'newer'} end
redis.call('HSET', KEYS[1], 'v', 1, ARGV[2], ARGV[3] .. '|' .. ARGV[4])
local fields, held = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #fields, 2 do
  local ends = string.match(fields[i + 1], '^(%d+)|')
  if ends then held[#held + 1] = {tonumber(ends), fields[i]} end
end
table.sort(held, function(one, other) return one[1] > other[1] end)
for place, one in ipairs(held) do
  if place > tonumber(ARGV[5]) or one[1] <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[1], one[2])
  end
end
redis.call('PEXPIRE', KEYS[1], math.max(1, held[1][1] - tonumber(ARGV[1])))
return {'ok'}
