function mask(tag, time, record)
    record.card = "****"
    return 2, time, record
end
