-- The requests of wrk: the same customer each time, or the customers of a prepared file:
--   wrk … URL -- csv|json|tensors|binary FILE
-- The last two are Open Inference Protocol, with data in the JSON or behind it.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}'

local function number(text) return tonumber(text) ~= nil end
local function quoted(text) return number(text) and text or '"' .. text .. '"' end

local function little(text) -- bytes of a cell, numbers as FP64
	local ffi = require("ffi")
	if number(text) then return ffi.string(ffi.new("double[1]", tonumber(text)), 8) end
	return ffi.string(ffi.new("int32_t[1]", #text), 4) .. text
end

-- mapped returns f of each cell of a row or column.
local function mapped(list, f)
	local out = {}
	for i, each in ipairs(list) do out[i] = f(each, i) end
	return out
end

function init(args)
	local kind, names, rows = args[1], nil, {}
	if not kind then return end
	for line in io.lines(args[2]) do
		local cells = {}
		for cell in line:gmatch("[^,]+") do cells[#cells + 1] = cell end
		cells[#cells] = nil -- the outcome
		if names then rows[#rows + 1] = cells else names = cells end
	end
	local function joined(f, list) return table.concat(mapped(list or rows, f), ",") end
	if kind == "csv" then
		wrk.headers["Content-Type"] = "text/csv"
		table.insert(rows, 1, names)
		wrk.body = table.concat(mapped(rows, function(cells) return table.concat(cells, ",") end), "\n")
	elseif kind == "json" then
		wrk.body = "[" .. joined(function(cells)
			return "{" .. joined(function(cell, i) return '"' .. names[i] .. '":' .. quoted(cell) end, cells) .. "}"
		end) .. "]"
	else
		local data = {}
		local inputs = mapped(names, function(name, i)
			local column = mapped(rows, function(cells) return cells[i] end)
			local values = '"data":[' .. joined(quoted, column) .. "]"
			if kind == "binary" then
				data[i] = table.concat(mapped(column, little))
				values = '"parameters":{"binary_data_size":' .. #data[i] .. "}"
			end
			return string.format('{"name":"%s","shape":[%d],"datatype":"%s",%s}', name, #rows,
				number(column[1]) and "FP64" or "BYTES", values)
		end)
		wrk.body = string.format('{"inputs":[%s],"outputs":[{"name":"predict_proba"}],' ..
			'"parameters":{"binary_data_output":%s}}', table.concat(inputs, ","), tostring(kind == "binary"))
		if kind == "binary" then
			wrk.headers["Content-Type"] = "application/octet-stream"
			wrk.headers["Inference-Header-Content-Length"] = #wrk.body
			wrk.body = wrk.body .. table.concat(data)
		end
	end
end

done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format("%.1f %.0f %.0f %d\n", summary.requests / summary.duration * 1e6,
		latency:percentile(50), latency:percentile(99), e.status + e.read + e.write + e.timeout))
end
