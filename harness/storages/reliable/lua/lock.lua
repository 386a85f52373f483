-- A lock is held for as long as its owner's lease is. It lies where stock Huey has its locks, so that each side
-- sees the other's; one of theirs has no owner, and stays until it is deleted.
-- ARGV: 3 what to do, 4 field, 5 owner, 6 token of this acquisition, 7 lifetime in ms or 0, 8 lease in ms if the owner
-- is none of a task, else 0.
local doing, field, owner, token = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local MARK = '\0hrlock1'
touch()

local value = redis.call('hget', RESULTS, field)
local held, holder = value and true or false, false
if value and string.sub(value, 1, 8) == MARK then
  local expires, owner_bytes, first = struct.unpack('>dH', value, 9)
  local its_owner = string.sub(value, first, first + owner_bytes - 1)
  holder = string.sub(value, first + owner_bytes)
  local lease = redis.call('zscore', LEASES, its_owner)
  if lease and tonumber(lease) < NOW and redis.call('hexists', CLAIMS, its_owner) == 0 then
    redis.call('zrem', LEASES, its_owner)
    lease = false
  end
  -- A task whose lease ran out has the lock until its task is taken back: until then it may be renewed, and completed.
  held = lease and (expires == 0 or NOW < expires) or false
end

if doing == 'acquire' then
  if held then return {holder == token and 'ok' or 'held', NOW} end
  local lifetime, lease = tonumber(ARGV[7]), tonumber(ARGV[8])
  if lease > 0 then
    redis.call('zadd', LEASES, NOW + lease, owner)
    look_soon(NOW + lease)
  elseif not redis.call('zscore', LEASES, owner) then
    return {'lost', NOW}  -- a task that has lost its lease gets no locks
  end
  local expires = lifetime > 0 and NOW + lifetime or 0
  redis.call('hset', RESULTS, field, MARK .. struct.pack('>dH', expires, #owner) .. owner .. token)
  return {'ok', NOW}
elseif doing == 'release' then
  if ARGV[8] ~= '0' then redis.call('zrem', LEASES, owner) end
  if holder ~= token then return {'lost', NOW} end
  redis.call('hdel', RESULTS, field)
  return {'ok', NOW}
end
return {held and 'held' or 'free', NOW}
