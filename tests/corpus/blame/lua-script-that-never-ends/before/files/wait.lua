local ready = false
while not ready do
end
function f(tag, time, record)
    return 0, time, record
end
