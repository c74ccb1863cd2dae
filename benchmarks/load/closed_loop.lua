-- What wrk's clients do: ask for a picture with a new seed as soon as they are answered; the last line is JSON.
local body = os.getenv("IPPO_LOAD_BODY"):sub(1, -2)
local seed = 0

wrk.method = "POST"
wrk.path = "/generate"
wrk.headers["content-type"] = "application/json"

function request()
  seed = seed + 1
  return wrk.format(nil, nil, nil, body .. ', "seed": ' .. seed .. "}")
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "refused": %d, "failed": %d, "seconds": %g, "p50": %g, "p99": %g}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
