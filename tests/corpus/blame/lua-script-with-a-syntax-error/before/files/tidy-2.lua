function tidy(tag, time, record)
    if record.size > 10 the
        record.size = 10
    end
    return 2, time, record
end
