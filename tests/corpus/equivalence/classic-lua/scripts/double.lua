function double(tag, ts, record)
  record["n"] = record["n"] * 2
  return 2, ts, record
end
