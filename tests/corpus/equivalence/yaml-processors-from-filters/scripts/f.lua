function f(tag, ts, r)
  r["lua"] = true
  return 2, ts, r
end
