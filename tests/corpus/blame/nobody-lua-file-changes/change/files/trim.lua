function trim(tag, time, record)
    record.log = string.sub(record.log or "", 1, 80)
    return 2, time, record
end
