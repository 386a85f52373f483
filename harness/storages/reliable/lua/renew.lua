-- Renew leases. ARGV: 3 lease in ms, then claims (or the owners of locks). Answers, for each, whether it was still held.
local held = {}
for i = 4, #ARGV do
  if redis.call('zscore', LEASES, ARGV[i]) then
    redis.call('zadd', LEASES, NOW + tonumber(ARGV[3]), ARGV[i])
    held[i - 3] = 1
  else
    held[i - 3] = 0
  end
end
touch()
return {'ok', NOW, held}
