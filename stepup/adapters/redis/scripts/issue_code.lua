#!lua
-- Keep the one code of a verified challenge.
--
-- KEYS[1]  challenge: hash
-- KEYS[2]  code: hash
-- ARGV[1]  when the code expires, in ms
-- ARGV[2]  digest of the code
-- ARGV[3]  how long the record is kept, in ms
-- returns  {'ok'}, for a repetition too, which extends nothing;
--          {'gone'}, {'ended'}: not verified, redeemed, or another code is out, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state')
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
local held = redis.call('HGET', KEYS[2], 'digest')
if h[2] ~= 'verified' or (held and held ~= ARGV[2]) then return {'ended'} end
if not held then
  redis.call('HSET', KEYS[2], 'v', 1, 'digest', ARGV[2], 'expires_at', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
  -- The challenge outlives its code, or a redemption would find half of what it needs.
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[2], 'issued', 1)
return {'ok'}
