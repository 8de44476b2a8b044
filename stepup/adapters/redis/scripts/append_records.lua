#!lua
-- Add recorded decisions that wait for PostgreSQL, as many as there is room for.
--
-- KEYS[1]  decisions: stream
-- ARGV[1]  entries that the stream may hold
-- ARGV[2]  one JSON text per record, from here on
-- returns  {'ok', how many were added}, {'full', how many were added}: for the others was no room
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
local added = math.max(0, math.min(#ARGV - 1, room))
for place = 2, added + 1 do
  redis.call('XADD', KEYS[1], '*', 'v', 1, 'entry', ARGV[place])
end
return {added == #ARGV - 1 and 'ok' or 'full', added}
