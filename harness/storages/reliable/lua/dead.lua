-- Dead letters. ARGV: 3 'list', 'retry' or 'drop'; 4 how many to list, or the entry.
if ARGV[3] == 'list' then
  local letters = {}
  local found = redis.call('zrange', DEAD, 0, tonumber(ARGV[4]) - 1, 'withscores')
  for i = 1, #found, 2 do
    local entry = found[i]
    letters[#letters + 1] = {
      entry, found[i + 1], redis.call('hget', ENTRIES, entry) or '', redis.call('hget', TRIES, entry) or ''
    }
  end
  return {'ok', NOW, letters}
end
local entry = ARGV[4]
touch()
if redis.call('zrem', DEAD, entry) == 0 then
  -- The repeat of a request finds its own work.
  return {redis.call('hget', META, 'revived') == ARGV[5] and 'ok' or 'none', NOW}
end
redis.call('hset', META, 'revived', ARGV[5])
redis.call('hdel', TRIES, entry)
local message = redis.call('hget', ENTRIES, entry)
if ARGV[3] == 'drop' then
  redis.call('hdel', ENTRIES, entry)
  if is_ours(message) then
    local _, id_bytes, key_bytes, chord_bytes, first = struct.unpack('>dHHH', message, 5)
    local chord = string.sub(message, first + id_bytes + key_bytes, first + id_bytes + key_bytes + chord_bytes - 1)
    if chord ~= '' then forget_chord(chord, tonumber(redis.call('hget', CHORDS, chord) or 0)) end
  end
else
  -- Nobody's now. Not deleted: the hash would go with its last field, and its lifetime with it.
  for _, key in ipairs({DONE, DONE_OLD}) do
    if redis.call('hexists', key, entry) == 1 then redis.call('hset', key, entry, '') end
  end
  line_up(entry, score_of(message))
  wake(1)
end
return {'ok', NOW}
