# Reads the output of `go test -cover ./...` and -v floors='pkg=percent …'
# (pkg is the last element of the import path); prints the packages that have a
# floor and fails when one is below it, or was not tested at all.
BEGIN {
  n = split(floors, list, " ")
  for (i = 1; i <= n; i++) { split(list[i], kv, "="); order[i] = kv[1]; floor[kv[1]] = kv[2] + 0 }
}
$1 == "ok" && /coverage:/ {
  m = split($2, path, "/")
  if (path[m-1] != "internal") next
  match($0, /coverage: [0-9.]+%/)
  got[path[m]] = substr($0, RSTART + 10, RLENGTH - 11) + 0
}
END {
  bad = 0
  print "\ncoverage of the packages with a floor:"
  for (i = 1; i <= n; i++) {
    p = order[i]
    if (!(p in got)) { printf "  %-10s no tests ran     FAIL (floor %d%%)\n", p, floor[p]; bad = 1; continue }
    ok = got[p] > floor[p]
    printf "  %-10s %5.1f%%  %s (floor %d%%)\n", p, got[p], ok ? "ok" : "FAIL", floor[p]
    if (!ok) bad = 1
  }
  exit bad
}
