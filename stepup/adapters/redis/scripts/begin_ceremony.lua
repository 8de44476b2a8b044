#!lua
-- Keep the random bytes that an authenticator will sign; a few ceremonies may be outstanding.
--
-- KEYS[1]  challenge: hash
-- KEYS[2]  ceremonies: hash of 'c:<id>' to '<number>|<expires at, in ms>|<bytes>'
-- ARGV[1]  now, in ms
-- ARGV[2]  ceremony
-- ARGV[3]  bytes to sign
-- ARGV[4]  when the ceremony expires, in ms
-- ARGV[5]  how many may be outstanding; past that the newest one is returned
-- returns  {'ok', ceremony, bytes}; {'gone'}, {'ended'}, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state', 'expires_at')
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
if h[2] ~= 'pending' then return {'ended'} end
if tonumber(h[3]) <= tonumber(ARGV[1]) then return {'gone'} end
local held, open, newest = redis.call('HGETALL', KEYS[2]), 0, {-1}
for i = 1, #held, 2 do
  local number, ends, bytes = string.match(held[i + 1], '^(%d+)|(%d+)|(.*)$')
  if number and tonumber(ends) <= tonumber(ARGV[1]) then
    redis.call('HDEL', KEYS[2], held[i])
  elseif number then
    open = open + 1
    -- A repetition finds its own ceremony.
    if held[i] == 'c:' .. ARGV[2] then return {'ok', ARGV[2], bytes} end
    if tonumber(number) > newest[1] then newest = {tonumber(number), string.sub(held[i], 3), bytes} end
  end
end
if open >= tonumber(ARGV[5]) then return {'ok', newest[2], newest[3]} end
local number = redis.call('HINCRBY', KEYS[2], 'n', 1)
redis.call('HSET', KEYS[2], 'v', 1, 'c:' .. ARGV[2], number .. '|' .. ARGV[4] .. '|' .. ARGV[3])
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
return {'ok', ARGV[2], ARGV[3]}
