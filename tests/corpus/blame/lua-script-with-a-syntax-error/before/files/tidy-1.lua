function tidy(tag, time, record)
    return 0, time, record
end
