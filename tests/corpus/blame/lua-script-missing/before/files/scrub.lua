function scrub(tag, time, record)
    record["email"] = nil
    return 2, time, record
end
