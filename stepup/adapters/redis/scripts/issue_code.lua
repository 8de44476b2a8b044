#!lua
-- Keep the one code of a verified challenge.
--
-- KEYS[1]  challenge: hash
-- KEYS[2]  code: hash
-- ARGV[1]  when the code expires, in ms
-- ARGV[2]  digest of the code
-- ARGV[3]  how long the record is kept at least, in ms: it is as long as the challenge is
-- returns  {'ok'}, for a repetition too, which extends nothing;
--          {'gone'}, {'ended'}: not verified, redeemed, or another code is out, {'newer'}: nothing changed
local h = redis.call('HMGET', KEYS[1], 'v', 'state')
if not h[1] then return {'gone'} elseif tonumber(h[1]) > 1 then return {'newer'} end
local held = redis.call('HGET', KEYS[2], 'digest')
if h[2] ~= 'verified' or (held and held ~= ARGV[2]) then return {'ended'} end
if not held then
  redis.call('HSET', KEYS[2], 'v', 1, 'digest', ARGV[2], 'expires_at', ARGV[1])
  -- One without the other is half a redemption, or a code that comes to life again.
  local kept = math.max(tonumber(ARGV[3]), redis.call('PTTL', KEYS[1]))
  redis.call('PEXPIRE', KEYS[1], kept)
  redis.call('PEXPIRE', KEYS[2], kept)
end
-- The write that WAIT speaks of, on every path that says ok.
redis.call('HINCRBY', KEYS[2], 'issued', 1)
return {'ok'}
