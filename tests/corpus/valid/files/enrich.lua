-- Adds how many records were seen; keeps the time that the record has.
local seen = 0

function enrich(tag, timestamp, record)
    seen = seen + 1
    record["count"] = seen
    record["tag"] = tag
    return 2, timestamp, record
end
