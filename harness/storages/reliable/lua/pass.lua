-- One more asks a rate limiter; the answer is how many have in this window. Window and count lie where stock Huey has
-- them, but are looked at, begun anew and counted in one step: nobody who has passed is forgotten. Who comes late, when
-- the next window has begun, is counted in that one, and does not turn it back.
-- ARGV: 3 field of the window, 4 field of the count, 5 the window, 6 the next one; as stock Huey stores them.
local known = redis.call('hget', RESULTS, ARGV[3])
touch()
if known ~= ARGV[5] and known ~= ARGV[6] then
  redis.call('hset', RESULTS, ARGV[3], ARGV[5])
  redis.call('hdel', COUNTERS, ARGV[4])
end
return {'ok', NOW, redis.call('hincrby', COUNTERS, ARGV[4], 1)}
