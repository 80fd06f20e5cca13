function f(tag, ts, r)
  r["from"] = "beside main"
  return 2, ts, r
end
