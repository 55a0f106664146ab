#!/bin/bash
# tests/run itself, on tests that are made for it: what it counts, what it shows, what it ends.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
tree=$TMP/tree
mkdir -p "$tree/tests"
cp tests/run "$tree/tests/"
cat >"$tree/tests/lint.sh" <<'SH'
#!/bin/bash
case $1 in
format) echo "the output of what passes" ;;
layers) echo "why it can't run"; exit 77 ;;
shell) seq 100 | sed 's/^/line /'; exit 1 ;;
spelling) sleep 300 & echo $! >left ;;
tidy) [ ! -e hang ] || { trap 'sleep 1; touch cleaned; exit 130' TERM; echo $$ >hanging; sleep 300 & wait; } ;;
esac
SH
chmod +x "$tree/tests/lint.sh"
# A process that nobody has waited for is there, but does not run.
alive() { [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ]; }
run() { B=$TMP/logs expect "$1" "$tree/tests/run" lint; }
run 1
[ "$(tail -1 "$TMP/out")" = "4 passed, 1 failed, 1 skipped" ] || fail "the totals: $(cat "$TMP/out")"
grep -q "^why it can't run" "$TMP/out" && ! grep -q 'what passes' "$TMP/out" || fail "what it shows: $(cat "$TMP/out")"
grep -qx 'line 100' "$TMP/out" && ! grep -qx 'line 40' "$TMP/out" && grep -qx 'line 40' "$TMP"/logs/test-logs/*shell.log || fail "a failure's output: $(cat "$TMP/out")"
[ "$(grep -c '^FAILED .*tests/lint.sh shell .* s of CPU$' "$TMP/out")" = 2 ] || fail "the failure is not in the list and the table: $(cat "$TMP/out")"
! alive "$(cat "$tree/left")" || fail "what a test leaves behind runs on"
sed -i 's/exit 1/exit 0/' "$tree/tests/lint.sh"
run 0
expect 1 "$tree/tests/run" nonsense
ok "tests/run counts what passes, fails and is skipped, and shows a failure's last lines"

touch "$tree/hang"
B=$TMP/logs "$tree/tests/run" lint >"$TMP/out" 2>&1 &
run=$!
until [ -s "$tree/hanging" ]; do kill -0 $run || fail "$(cat "$TMP/out")"; sleep 0.1; done
kill -TERM $run
status=0
wait $run || status=$?
[ $status = 130 ] && [ -e "$tree/cleaned" ] || fail "it ends with $status: $(cat "$TMP/out")"
! alive "$(cat "$tree/hanging")" || fail "a test outlives tests/run"
ok "tests that are interrupted clean up, and are waited for"
