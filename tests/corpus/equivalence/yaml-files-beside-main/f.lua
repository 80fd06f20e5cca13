function f(tag, ts, r)
  r["from"] = "working directory"
  return 2, ts, r
end
