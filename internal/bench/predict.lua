-- The requests of wrk: the same customer each time.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}'

done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format("%.1f %.0f %.0f %d\n", summary.requests / summary.duration * 1e6,
		latency:percentile(50), latency:percentile(99), e.status + e.read + e.write + e.timeout))
end
