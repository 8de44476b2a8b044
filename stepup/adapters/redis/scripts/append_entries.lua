#!lua
-- Add rows that wait for PostgreSQL, in order, all or none.
--
-- KEYS[1]  outbox: stream
-- ARGV     one JSON text per row
-- returns  {'ok'}
for _, entry in ipairs(ARGV) do
  redis.call('XADD', KEYS[1], '*', 'v', 1, 'entry', entry)
end
return {'ok'}
