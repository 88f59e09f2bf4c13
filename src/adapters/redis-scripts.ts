/** What the Redis manager does on the server, each in one step: scripts, so that nothing comes between. */

/**
 * Keys: the run's entries (a set sorted by when they expire), the run's request, the index of all runs.
 * Times come from the server's clock alone.
 */
const prelude = `
local entries, request, index = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function alive()
  redis.call("ZREMRANGEBYSCORE", entries, "-inf", now)
  return redis.call("ZCARD", entries) > 0
end
`;

/** Arguments: run id, token, lifetime of an entry, lifetime of a request. Also keeps an entry alive. */
export const registerScript = `${prelude}
local runId, token, entryMs, requestMs = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call("ZADD", entries, now + entryMs, token)
redis.call("PEXPIRE", entries, entryMs)
redis.call("ZADD", index, now + entryMs, runId)
redis.call("PEXPIRE", index, entryMs)
if redis.call("PTTL", request) < requestMs then redis.call("PEXPIRE", request, requestMs) end
`;

/** Arguments: run id, request, lifetime of it for a run at work and for an unknown one, channel. Gives 1 where registered. */
export const cancelScript = `${prelude}
local runId, text, knownMs, unknownMs, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local known = alive()
redis.call("SET", request, text, "NX", "PX", known and knownMs or unknownMs)
redis.call("PUBLISH", channel, runId)
return known and 1 or 0
`;

/** Arguments: run id, token. The request goes with the last entry. */
export const cleanupScript = `${prelude}
local runId, token = ARGV[1], ARGV[2]
redis.call("ZREM", entries, token)
if alive() then return end
redis.call("DEL", request)
redis.call("ZREM", index, runId)
`;

/** Key: the index. Gives the ids of the runs whose entries have not expired. */
export const activeScript = `
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
return redis.call("ZRANGE", KEYS[1], 0, -1)
`;
