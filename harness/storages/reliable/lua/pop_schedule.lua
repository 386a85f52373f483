-- As Huey's storages: take what is due by ARGV[3] (ms) out of the schedule, for whoever calls read_schedule himself.
local due = redis.call('zrangebyscore', SCHEDULE, '-inf', ARGV[3])
local messages = {}
for i, entry in ipairs(due) do
  messages[i] = redis.call('hget', ENTRIES, entry) or ''
  redis.call('zrem', SCHEDULE, entry)
  redis.call('hdel', ENTRIES, entry)
end
touch()
return {'ok', NOW, messages}
