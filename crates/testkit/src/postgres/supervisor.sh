# Outlives the process that reads and writes to it, however that ends: when the pipe closes, the server in folder $1 is
# stopped and the folder removed. Only a process that was started on this folder is touched: numbers are used again.
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
is_ours() { [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$1/data"; }
if is_ours "$1"; then
  kill -QUIT "$pid"
  tries=0
  while is_ours "$1" && [ "$tries" -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  if is_ours "$1"; then kill -KILL "$pid"; fi
fi
rm -rf -- "$1"
