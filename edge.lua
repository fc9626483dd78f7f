-- What Envoy's own filters can't do for JSON calls: refuse what could get past the path, name the body's fields, answer
-- with another code than 200. Native gRPC passes untouched. docs/envoy.md says why.

local MAX_KEYS, MAX_LENGTH = 64, 4096
local BODILESS = {GET = true, HEAD = true, DELETE = true}
local LEAKED = {"grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-accept-encoding", "grpc-encoding",
                "x-http-code"}

local STREAM_TYPES = {ndjson = "application/x-ndjson", sse = "text/event-stream"}

local QUOTE, APOSTROPHE, BACKSLASH, COMMA = 34, 39, 92, 44
local OPEN_LIST, CLOSE_LIST, OPEN, CLOSE = 91, 93, 123, 125

-- As Envoy decides it: anything else is transcoded.
local function is_grpc(headers)
  local kind = headers:get("content-type") or ""
  return kind == "application/grpc" or kind:sub(1, 17) == "application/grpc+"
end

-- The transcoder decodes a parameter's name after it was looked up among the ignored ones.
local function has_escaped_parameter(path)
  local query = path:match("%?(.*)$") or ""
  for name in query:gmatch("[^&=]+[^&]*") do
    if name:match("^[^=]*"):find("[%%+]") then return true end
  end
  return false
end

local function end_of_string(body, start)
  local quote, i, length = body:byte(start), start + 1, #body
  while i <= length do
    local c = body:byte(i)
    if c == quote then return i end
    i = i + (c == BACKSLASH and 2 or 1)
  end
  return length + 1
end

local function percent(character) return ("%%%02X"):format(character:byte()) end

-- Calls `found` with the text of every key of the outermost object, until it answers false. Reads JSON as leniently as
-- the transcoder does: names without quotes or in single ones, a comma too many. Plain loops over bytes are what LuaJIT
-- compiles: 4 MiB take 5 to 30 ms.
local function each_key(body, found)
  local depth, i, length, expecting = 0, 1, #body, false
  while i <= length do
    local c, last = body:byte(i), i
    if c == QUOTE or c == APOSTROPHE then
      last = end_of_string(body, i)
      if expecting and not found(body:sub(i + 1, last - 1)) then return end
      expecting = false
    elseif c == OPEN or c == OPEN_LIST then
      depth = depth + 1
      expecting = depth == 1 and c == OPEN
    elseif c == CLOSE or c == CLOSE_LIST then
      depth, expecting = depth - 1, false
    elseif c == COMMA then
      expecting = depth == 1
    elseif expecting and c > 32 then
      local name = body:match("^[^%s:]+", i) or ""
      if not found(name) then return end
      last, expecting = i + math.max(#name, 1) - 1, false
    end
    i = last + 1
  end
end

-- What all spellings of one field have in common: escapes resolved, camelCase and snake_case alike.
local function same_field(key)
  local plain = key:gsub("\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
  return plain:gsub("[\\_]", ""):lower()
end

-- The keys, percent-encoded, between commas, where a last `*` stands for more than fit; or nil and the key that comes
-- twice: of two the transcoder compares one with the path and takes the other.
local function list_keys(body)
  local keys, seen, size, twice = {}, {}, 0, nil
  each_key(body, function(key)
    local encoded = #key > MAX_LENGTH and key or key:gsub("[^%w_]", percent)
    size = size + #encoded + 1
    if #keys == MAX_KEYS or size > MAX_LENGTH then
      keys[#keys + 1] = "*"
      return false
    end
    local field = same_field(key)
    if seen[field] then
      twice = key
      return false
    end
    seen[field], keys[#keys + 1] = true, encoded
    return true
  end)
  if twice then return nil, twice end
  return table.concat(keys, ",")
end

local function refuse(handle, why)
  handle:respond({[":status"] = "400"}, why)
end

-- What a JSON caller says in gRPC's own headers would reach the server as if Envoy had said it: a deadline, an encoding.
local function strip_grpc(headers)
  local found = {}
  for name in pairs(headers) do
    if name:sub(1, 5) == "grpc-" or name:sub(-4) == "-bin" then found[#found + 1] = name end
  end
  for _, name in ipairs(found) do headers:remove(name) end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if is_grpc(headers) then return end
  strip_grpc(headers)
  local method = headers:get(":method")
  if has_escaped_parameter(headers:get(":path")) then
    return refuse(handle, "The name of a query parameter must be written without percent-encoding.")
  end
  local body = handle:body()
  if not body or body:length() == 0 then return end
  if BODILESS[method] then
    return refuse(handle, method .. " takes no body; parameters go into the query.")
  end
  local keys, twice = list_keys(body:getBytes(0, body:length()))
  if not keys then return refuse(handle, "The field `" .. twice .. "` comes twice in the body.") end
  if keys ~= "" then handle:headers():replace("x-json-keys", keys) end
end

local function answer_nothing(handle)
  handle:body():setBytes("")
  local headers = handle:headers() -- those from before the body are gone
  headers:replace(":status", "204")
  headers:remove("content-type")
  headers:remove("content-length")
  local trailers = handle:trailers()
  if trailers then for _, name in ipairs(LEAKED) do trailers:remove(name) end end
end

-- An error is one record in the framing of the stream; what streams is never held back.
local function answer_stream(handle, framing)
  local headers = handle:headers()
  headers:replace("content-type", STREAM_TYPES[framing])
  if framing == "sse" then headers:replace("cache-control", "no-cache") end
  if headers:get(":status") == "200" then return end
  local body = handle:body()
  if not body then return end
  local record = body:getBytes(0, body:length()):gsub("%s+$", "")
  local length = body:setBytes(framing == "sse" and "data: " .. record .. "\n\n" or record .. "\n")
  handle:headers():replace("content-length", length)
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if is_grpc(headers) or not headers:get("content-type") then return end -- Envoy's own to gRPC-Web has none yet
  if headers:get(":status") == "401" then headers:replace("www-authenticate", "Bearer") end
  local code = headers:get("x-http-code")
  for _, name in ipairs(LEAKED) do headers:remove(name) end
  local framing = handle:metadata():get("framing")
  if framing then return answer_stream(handle, framing) end
  if headers:get(":status") ~= "200" then return end
  if code == "204" then
    answer_nothing(handle)
  elseif code == "201" or code == "202" then
    headers:replace(":status", code)
  end
end
