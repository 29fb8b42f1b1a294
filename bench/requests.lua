-- wrk script: POST chat requests. ARGS: number of distinct questions (0: every request is new), prefix.
local counter = 0
local distinct = 1
local prefix = "q"
local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(args)
  distinct = tonumber(args[1] or "1")
  prefix = args[2] or "q"
end

function request()
  counter = counter + 1
  local n = counter
  if distinct > 0 then n = counter % distinct end
  local body = '{"model":"sim-small","messages":[{"role":"system","content":"You are a help desk. Answer in a few sentences."},'
    .. '{"role":"user","content":"' .. prefix .. ' ' .. id .. ' number ' .. n .. ': how do I reset my router to its factory settings?"}],'
    .. '"temperature":0.2}'
  return wrk.format("POST", "/v1/chat/completions",
    {["Content-Type"] = "application/json", ["Authorization"] = "Bearer sk-bench"}, body)
end
