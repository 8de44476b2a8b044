#!lua
-- Redeem a code: of all attempts one gets it, and the same attempt gets it again.
--
-- KEYS[1]  code: hash
-- KEYS[2]  challenge: hash
-- KEYS[3]  once-only token: hash, made here when the challenge says for how long
-- ARGV[1]  now, in ms
-- ARGV[2]  attempt
-- ARGV[3]  digest of the code
-- ARGV[4]  client
-- ARGV[5]  redirect URI, after '='; nothing if there is none, which a verifier that fits makes up for
-- ARGV[6]  PKCE challenge computed from the verifier that came, after '='; nothing if there is none
-- ARGV[7]  thumbprint of the DPoP key that came; nothing if none did
-- returns  {'ok', redeemed_at_ms, n, field, value, ...}: the challenge, n > 1 for a repetition;
--          {'dup'}: another attempt has it; {'gone'}, {'expired'}, {'mismatch'}, {'newer'}: nothing changed
local c = redis.call('HMGET', KEYS[1], 'v', 'digest', 'expires_at', 'by')
local h = redis.call('HMGET', KEYS[2], 'v', 'client', 'redirect_uri', 'pkce', 'once_ms')
if not c[1] or not h[1] then return {'gone'} end
if tonumber(c[1]) > 1 or tonumber(h[1]) > 1 then return {'newer'} end
if c[2] ~= ARGV[3] or h[2] ~= ARGV[4] then return {'mismatch'} end
if h[3] ~= ARGV[5] and (ARGV[5] ~= '' or h[4] == '') then return {'mismatch'} end
-- A code that is bound to a key has its thumbprint behind the challenge.
if h[4] ~= ARGV[6] and (ARGV[7] == '' or h[4] ~= ARGV[6] .. ' ' .. ARGV[7]) then return {'mismatch'} end
if c[4] and c[4] ~= ARGV[2] then
  redis.call('HSET', KEYS[1], 'reuse', 1)
  return {'dup'}
end
if not c[4] then
  if tonumber(c[3]) <= tonumber(ARGV[1]) then return {'expired'} end
  redis.call('HSET', KEYS[1], 'by', ARGV[2], 'redeemed_at', ARGV[1])
  redis.call('HSET', KEYS[2], 'state', 'used')
  if h[5] ~= '0' then
    redis.call('HSET', KEYS[3], 'v', 1)
    redis.call('PEXPIRE', KEYS[3], h[5])
  end
end
-- The write that WAIT speaks of, on every path that says ok.
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
return {'ok', redis.call('HGET', KEYS[1], 'redeemed_at'), n, unpack(redis.call('HGETALL', KEYS[2]))}
