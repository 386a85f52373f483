-- Settle a delivery, hand others back, move what is due, take back leases that ran out, lease the next.
-- ARGV: 3 lifetime of done markers in ms, 4 lease in ms, 5 deliveries after which nobody opens the message any more,
-- 6 holder, 7 claim to lease under or '', 8 claim to settle or '', then as read below.
local REMEMBER, LEASE, DELIVERIES_MAX, HOLDER = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local BATCH, ERRORS_BYTES_MAX = 100, 2000
local at = 8

-- Under maxmemory a script may go on if it has written before, and consumers must: they are what frees memory. So the
-- first write of each part is one that is always allowed: HDEL, ZREM, ZPOPMIN.

local function take()
  at = at + 1
  return ARGV[at]
end

-- A claim's record: where its entry came from, so that it can go back there.
local function pack(score, number, fence, holder, member)
  return struct.pack('>dI4dB', score, number, fence, #holder) .. holder .. member
end

local function unpack_record(record)
  local score, number, fence, holder = struct.unpack('>dI4dB', record)
  return score, number, fence, string.sub(record, 22, 21 + holder), place_and_entry(string.sub(record, 22 + holder))
end

-- Read together: a call costs more than what it does.
local counters = redis.call('hmget', META, 'rotated', 'fence', 'look')
local records = redis.call('hmget', CLAIMS, ARGV[8], ARGV[7])

local function mark_done(entry, claim)
  if NOW - tonumber(counters[1] or 0) > REMEMBER then
    redis.call('unlink', DONE_OLD)
    if redis.call('exists', DONE) == 1 then redis.call('rename', DONE, DONE_OLD) end
    redis.call('hset', META, 'rotated', NOW)
    redis.call('hset', DONE, entry, claim)
    redis.call('pexpire', DONE, 2 * REMEMBER + 1000)
  else
    redis.call('hset', DONE, entry, claim)
  end
end

local function note_failure(entry, number, error)
  local so_far = redis.call('hget', TRIES, entry)
  local lines = so_far and string.match(so_far, '\n.*') or ''
  lines = lines .. '\n' .. number .. ': ' .. string.gsub(error, '\n', ' ')
  if #lines > ERRORS_BYTES_MAX then
    lines = string.match(string.sub(lines, -ERRORS_BYTES_MAX), '\n.*') or ''  -- whole lines, the latest
  end
  redis.call('hset', TRIES, entry, number .. lines)
end

local function end_lease(claim)
  redis.call('hdel', CLAIMS, claim)
  redis.call('zrem', LEASES, claim)
end

local function give_back(claim, record, error, delay)
  local score, number, _, holder, place, entry = unpack_record(record)
  end_lease(claim)
  if error ~= '' then
    note_failure(entry, number, error .. ' (' .. holder .. ')')
    place = string.sub(place, 1, -2) .. TRIED
  end
  if delay > 0 then
    schedule(entry, NOW + delay)
  else
    redis.call('zadd', QUEUE, score, place .. entry)
  end
  return entry
end

local settled, written, callback = '', false, ''
local claim = ARGV[8]
if claim ~= '' then
  local entry, outcome, error = take(), take(), take()
  local record = records[1]
  local effects = tonumber(take())
  if record then
    settled, written = 'ok', true
    end_lease(claim)
    for _ = 1, effects do
      local kind = take()
      if kind == 'result' then
        redis.call('hset', RESULTS, take(), take())
      elseif kind == 'delete' then
        redis.call('hdel', RESULTS, take())
      elseif kind == 'notify' then
        local key = KEYS[tonumber(take())]
        redis.call('lpush', key, '1')
        redis.call('expire', key, take())
      elseif kind == 'queue' then
        local put, message, score = take(), take(), take()
        redis.call('hset', ENTRIES, put, message)
        line_up(put, score)
        wake(1)
      elseif kind == 'schedule' then
        local put, message, eta = take(), take(), take()
        redis.call('hset', ENTRIES, put, message)
        schedule(put, eta)
        wake_for_first(put)
      elseif kind == 'member' then
        local chord, index, size, value = take(), take(), tonumber(take()), take()
        local put, message, score = take(), take(), take()
        if redis.call('hsetnx', CHORDS, chord .. ':' .. index, value) == 1
            and redis.call('hincrby', CHORDS, chord, 1) == size then
          redis.call('hset', ENTRIES, put, message)
          line_up(put, score)
          wake(1)
          callback = put
        end
      elseif kind == 'chord' then
        local chord = take()
        forget_chord(chord, tonumber(take()))
      end
    end
    local _, number = struct.unpack('>dI4', record)
    if outcome == 'dead' then
      note_failure(entry, number, error)
      redis.call('zadd', DEAD, NOW, entry)
    else
      redis.call('hdel', ENTRIES, entry)
      if number > 1 then redis.call('hdel', TRIES, entry) end
    end
    mark_done(entry, claim .. callback)
  else
    local marker = completed_by(entry)
    if marker and string.sub(marker, 1, #claim) == claim then
      settled, callback = 'ok', string.sub(marker, #claim + 1)
    else
      settled = 'refused'
    end
    -- What it would have handed over is not read; what follows is found again by its number.
    at = tonumber(ARGV[#ARGV])
  end
end

local handed = {}
for i = 1, tonumber(take()) do
  local one, error, delay = take(), take(), tonumber(take())
  local record = redis.call('hget', CLAIMS, one)
  handed[i] = record and 1 or 0
  if record then
    give_back(one, record, error, delay)
    wake(1)
  end
end
if not written then
  redis.call('hdel', META, 'none')
  touch()
end

-- Who repeats his request is alive, and keeps what he was given for it.
local asked = ARGV[7]
local known = records[2]
if known and #handed > 0 then known = redis.call('hget', CLAIMS, asked) end
if known then
  redis.call('zadd', LEASES, NOW + LEASE, asked)
end

local function first_deadline(later)
  for _, key in ipairs({SCHEDULE, LEASES}) do
    local first = redis.call('zrange', key, 0, 0, 'withscores')
    if #first > 0 and (not later or tonumber(first[2]) < later) then later = tonumber(first[2]) end
  end
  return later
end

local moved, returned = {}, {}
local look = tonumber(counters[3] or 0)
if NOW >= look or look > NOW + LOOK_MS then  -- or else this is another server's clock
  -- What is due goes into the queue, in the order of its time.
  moved = redis.call('zrangebyscore', SCHEDULE, '-inf', NOW, 'limit', 0, BATCH)
  for _, entry in ipairs(moved) do
    redis.call('zrem', SCHEDULE, entry)
    local message = redis.call('hget', ENTRIES, entry)
    if message then line_up(entry, score_of(message), TRIED) end
  end
  -- Whose lease ran out has lost his task; it goes back to its old place.
  local over = redis.call('zrangebyscore', LEASES, '-inf', '(' .. NOW, 'limit', 0, BATCH)
  for _, one in ipairs(over) do
    local record = redis.call('hget', CLAIMS, one)
    if record then
      returned[#returned + 1] = {one, give_back(one, record, 'its lease ran out', 0)}
    else
      redis.call('zrem', LEASES, one)  -- of a lock that was held outside of any task
    end
  end
  if #moved + #returned > 0 then wake(#moved + #returned) end
  redis.call('hset', META, 'look', string.format('%.0f', math.floor(first_deadline(NOW + LOOK_MS))))
end

-- Mostly there is nothing to tell of these: each part of a reply costs both ends.
local rest = (#moved + #returned + #handed > 0 or callback ~= '') and {moved, returned, handed, callback}

local function nothing(wait)
  return {settled, NOW, wait, false, false, false, rest}
end

if asked == '' then return nothing(-1) end

local function deliver(number, fence, entry, message)
  local revoked, members = false, false
  if is_ours(message) then
    local _, id_bytes, key_bytes, chord_bytes, first = struct.unpack('>dHHH', message, 5)
    local id = string.sub(message, first, first + id_bytes - 1)
    local key = string.sub(message, first + id_bytes, first + id_bytes + key_bytes - 1)
    revoked = redis.call('hmget', RESULTS, 'r:' .. id, key)
    if not revoked[1] and not revoked[2] then revoked = 0 end
    if chord_bytes > 0 then
      first = first + id_bytes + key_bytes
      local chord = string.sub(message, first, first + chord_bytes - 1)
      members = {}
      for i = 1, tonumber(redis.call('hget', CHORDS, chord) or 0) do
        members[i] = redis.call('hget', CHORDS, chord .. ':' .. (i - 1))
      end
    end
  end
  -- Number, fence (as a Lua number, which is a double) and the entry's length; entry; message.
  local leased = struct.pack('>I4dH', number, fence, #entry) .. entry .. message
  if rest or members or (revoked and revoked ~= 0) then
    return {settled, NOW, -1, leased, revoked, members, rest}
  end
  -- Mostly there is no more to say, and one string is read several times as fast.
  return struct.pack('>dBB', NOW, settled == '' and 0 or settled == 'ok' and 1 or 2, revoked and 1 or 0) .. leased
end

if known then
  local _, number, fence, _, _, entry = unpack_record(known)
  return deliver(number, fence, entry, redis.call('hget', ENTRIES, entry))
end
-- The repeat of a settlement, and nothing leased with it: nothing was there, or what was is done by now. A request that
-- arrives so late would lease for nobody; its sender asks anew.
if settled ~= '' and not written then return nothing(0) end
for _ = 1, BATCH do
  local top = redis.call('zpopmin', QUEUE)
  if #top == 0 then break end
  local place, entry = place_and_entry(top[1])
  local message = redis.call('hget', ENTRIES, entry)
  if message then
    local failed = string.sub(place, -1) == TRIED and redis.call('hget', TRIES, entry)
    local number = 1 + (failed and tonumber(string.match(failed, '^%d+')) or 0)
    if number > DELIVERIES_MAX then
      -- It ends whoever opens it: nobody gets it any more. Done with, like any dead letter.
      redis.call('zadd', DEAD, NOW, entry)
      mark_done(entry, 'unopened')
    else
      -- Microseconds, or one more than the last: it grows even where a failover has rolled the last one back.
      local fence = math.max(clock[1] * 1000000 + clock[2], tonumber(counters[2] or 0) + 1)
      redis.call('hset', META, 'fence', string.format('%.0f', fence))
      local record = pack(tonumber(top[2]), number, fence, HOLDER, top[1])
      redis.call('hset', CLAIMS, asked, record)
      redis.call('zadd', LEASES, NOW + LEASE, asked)
      look_soon(NOW + LEASE)
      return deliver(number, fence, entry, message)
    end
  end
end

if redis.call('zcard', QUEUE) > 0 then return nothing(0) end

-- Nothing to do. Tokens that are left would only send others to look in vain.
redis.call('del', WAKE)
local deadline = first_deadline()
return nothing(deadline and math.max(0, deadline - NOW) or -1)
