#!/bin/bash
# Webhooks and external checks: what is told, in order and at least once, across a server that is killed and receivers that fail, hang, redirect and
# answer too much; which addresses are asked; which answers of a check count.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
data=$TMP/registry
echo "a secret of both sides" >"$TMP/secret"
python3 tests/system/webhook.py "$TMP" >"$TMP/port" 2>"$TMP/receiver.log" &
ENDING+=("$!")
touch "$TMP/taken.log"
until_true test -s "$TMP/port"
receiver=http://127.0.0.1:$(cat "$TMP/port")
start_ingotd
hook() { ingotd webhook "$1" --data "$data" "${@:2}"; }
# add URL [OPTION...]: its number.
add() { hook add --secret-file "$TMP/secret" "$@"; }
open=(--allow-private --allow-http)
where=$REGISTRY/team/web
push() {
    head -c 65536 /dev/urandom >"$TMP/disk.raw"
    ingot pack -q "$TMP/disk.raw" "web:$1" >/dev/null 2>&1
    ingot push -q "web:$1" "$where:$1" >/dev/null
}
# taken PATH CODE: whether the lines of that path (`all`: their bodies) are as the code of Python says.
taken() {
    python3 - "$TMP/taken.log" "$1" "$2" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
lines = [line for line in lines if line["path"] == sys.argv[2]]
seen, all = set(), []
for line in lines:
    assert line["right"] and line["id"] == line["body"]["id"], line
    if line["id"] not in seen:
        all.append(line["body"])
    seen.add(line["id"])
sys.exit(not eval(sys.argv[3]))
PY
}
metric() { curl -sf "http://$REGISTRY/metrics" | grep -q "^$1 $2\$"; }

# --- what is told ---
plain=$(add "$receiver/take" "${open[@]}" --name 'team/*')
moves=$(add "$receiver/fail" "${open[@]}" --event promote --event rollback)
hung=$(add "$receiver/hang" "${open[@]}")
hook test "$plain" >"$TMP/out" || fail "a test: $(cat "$TMP/err")"
grep -q 'test of team/\*: done, status 200' "$TMP/out" || fail "$(cat "$TMP/out")"
push 1.0.0
push 2.0.0
ingot promote -q "$where" 1.0.0 dev --reason "it is good" >/dev/null
ingot promote -q "$where" dev test >/dev/null
ingot deprecate "$where:1.0.0" --reason "old" >/dev/null 2>&1 || fail "deprecate"
until_true taken /take '[(one["kind"], one.get("channel"), one.get("tag")) for one in all if one["kind"] != "test"] == [("push", None, "1.0.0"), ("push", None, "2.0.0"), ("promote", "dev", None), ("promote", "test", None), ("deprecate", None, None)]'
taken /take 'all[3]["reason"] == "it is good" and all[3]["name"] == "team/web" and all[3]["version"] == "1.0.0" and all[3]["digest"].startswith("sha256:")' || fail "$(cat "$TMP/taken.log")"
until_true taken /fail '[one["channel"] for one in all] == ["dev", "test"]'
ok "each event is told once, signed, with what belongs to it, whatever another receiver does"

# --- failures and kills ---
touch "$TMP/failing"
ingot promote -q "$where" 2.0.0 dev >/dev/null
ingot promote -q "$where" dev test >/dev/null
ingot rollback -q "$where" dev >/dev/null
failing() { hook log "$moves" | grep -q 'failed, status 503, .* tr[a-z]* [0-9]*: not now$'; }
until_true failing
until_true metric ingot_webhooks_failing "[12]"
grep -q "webhook $moves ($receiver/fail) fails: status 503, not now; it is tried again for a day" "$LOG" || fail "$(cat "$LOG")"
kill -9 "$SERVER"
wait "$SERVER" || true
start_server ingotd --data "$data" --listen "$REGISTRY"
until_true failing
rm "$TMP/failing"
ingot promote -q "$where" test prod >/dev/null
until_true taken /fail '[(one["kind"], one["channel"]) for one in all[2:]] == [("promote", "dev"), ("promote", "test"), ("rollback", "dev"), ("promote", "prod")]'
taken /fail '[int(one["id"].split("-")[1]) for one in all] == sorted(int(one["id"].split("-")[1]) for one in all)' || fail "the order: $(cat "$TMP/taken.log")"
until_true grep -q "webhook $moves ($receiver/fail) takes events again" "$LOG"
ok "a receiver that fails gets all in order once it takes them, though the server was killed between"

for n in 1 2 3 4 5; do # each at another moment of a delivery
    push "3.0.$n"
    sleep "0.$n"
    kill -9 "$SERVER"
    wait "$SERVER" || true
    start_server ingotd --data "$data" --listen "$REGISTRY"
done
until_true taken /take '[one["tag"] for one in all if one.get("tag", "").startswith("3.")] == [f"3.0.{n}" for n in range(1, 6)]'
ok "kills lose nothing of what was pushed, and change no order"

# --- receivers that mean ill ---
until_true grep -q "webhook $hung ($receiver/hang) fails" "$LOG"
hook log "$hung" --json | python3 -c 'import json,sys; log=json.load(sys.stdin); assert len(log)==1 and log[0]["status"]==0 and log[0]["outcome"]=="failed" and log[0]["ms"]>=9000, log' || fail "$(hook log "$hung")"
hook rm "$hung"
redirected=$(add "$receiver/redirect" "${open[@]}")
huge=$(add "$receiver/huge" "${open[@]}")
private=$(add "$receiver/take" --allow-http)
named=$(add "http://localhost:${receiver##*:}/take" --allow-http)
plainly=$(add "$receiver/take" --allow-private)
# refused NUMBER WORDS: a test of it ends with status 1 and the words.
refused() {
    expect 1 ingotd webhook test --data "$data" "$1"
    grep -q "$2" "$TMP/err" || fail "$2: $(cat "$TMP/err")"
}
checked() { grep -c '"/check"' "$TMP/taken.log" || true; }
lines=$(checked)
refused "$redirected" 'status 307'
refused "$private" '127.0.0.1, an address that is not public'
refused "$named" 'an address that is not public'
refused "$plainly" 'is not https'
[ "$(checked)" = "$lines" ] || fail "something came: $(tail -3 "$TMP/taken.log")"
hook test "$huge" >"$TMP/out" || fail "an answer of 1 GB"
[ "$(wc -c <"$TMP/out")" -lt 500 ] || fail "the answer is not cut"
for number in "$redirected" "$huge" "$private" "$named" "$plainly"; do hook rm "$number"; done
ok "redirects, addresses that are not public, plain http and answers without end lead nowhere"

hook ls --json | python3 -c 'import json,sys; assert [one["id"] for one in json.load(sys.stdin)] == [1, 2]' || fail "$(hook ls)"
! hook ls | grep -q 'both sides' || fail "a secret is shown"
[ "$(stat -c %a "$data/follow.sqlite")" = 600 ] || fail "others may read the ledger"
expect 2 ingotd webhook add --data "$data" --secret-file "$TMP/secret" 'https://u:p@receiver.example/'
expect 2 ingotd webhook add --data "$data" --secret-file "$TMP/secret" --event promot https://receiver.example/
grep -q "did you mean 'promote'" "$TMP/err" || fail "$(cat "$TMP/err")"
expect 2 ingotd webhook ls --data "$data" --allow-http
expect 1 ingotd webhook rm --data "$data" 99
mkdir "$TMP/lost"
cp "$data/names.log" "$TMP/lost"
expect 1 ingotd webhook add --data "$TMP/lost" --secret-file "$TMP/secret" https://receiver.example/
grep -q 'which event of .* is the last' "$TMP/err" || fail "without a catalogue: $(cat "$TMP/err")"
ok "what is wrong is refused with what would be right, and no secret is shown"

# --- external checks ---
gate() {
    cat >"$TMP/pipelines.yaml" <<YAML
pipelines:
  team/*:
    channels:
      - name: dev
      - name: prod
        from: dev
        gates: [{check: {url: "$receiver/check", secret: $1, timeout: 2s}}]
YAML
    ingot pipeline apply "$REGISTRY" "$TMP/pipelines.yaml" >/dev/null
}
# checks STATUS WORDS: a promotion ends so.
checks() {
    local status=0
    ingot promote "$where" dev prod --dry-run >"$TMP/out" 2>&1 || status=$?
    [ $status = "$1" ] && grep -q "$2" "$TMP/out" || fail "$1, $2: $status, $(cat "$TMP/out")"
}
how() { echo "{\"how\": \"$1\"${2:+, $2}}" >"$TMP/check"; }
gate release
checks 3 "this server has no secret 'release': .ingotd webhook secret"
expect 2 ingotd webhook secret --data "$data" --secret-file "$TMP/secret" release
grep -q -- '--url URL is needed' "$TMP/err" || fail "$(cat "$TMP/err")"
check=(--url "$receiver/check" --name 'team/*')
hook secret --secret-file "$TMP/secret" "${check[@]}" --allow-http release
checks 3 'could not be asked: .* an address that is not public'
checked() { grep -c '"/check"' "$TMP/taken.log" || true; }
lines=$(checked)
for other in "--url $receiver/check/" "--url $receiver/ --name team/*" "--url $receiver/check --name team/we"; do
    set -f
    # shellcheck disable=SC2086 # options and their values
    hook secret $other "${open[@]}" release <"$TMP/secret"
    set +f
    checks 3 "could not be asked: the secret 'release' is not for $receiver/check and team/web"
done
[ "$(checked)" = "$lines" ] || fail "a secret for something else was used: $(tail -3 "$TMP/taken.log")"
hook secret "${check[@]}" "${open[@]}" release <"$TMP/secret"
[ "$(hook secret-ls | tr -s ' ')" = "release team/* $receiver/check --allow-private --allow-http" ] || fail "the secrets: $(hook secret-ls)"
how right '"passed": false, "why": "the change has no ticket", "mend": "open one"'
checks 3 'the change has no ticket'
grep -q 'open one' "$TMP/out" || fail "$(cat "$TMP/out")"
taken /check 'all[-1]["name"] == "team/web" and all[-1]["channel"] == "prod" and all[-1]["version"] == "1.0.0" and all[-1]["kind"] == "check"' || fail "$(tail -1 "$TMP/taken.log")"
how right '"passed": true, "why": "ticket 17"'
checks 0 'ticket 17'
for one in tampered replayed unsigned other-secret; do
    how $one '"passed": false'
    checks 3 'is not signed, for this request, with the secret'
done
how hang
checks 3 'could not be asked'
how redirect
checks 3 'could not be asked: .*status 307'
how huge
checks 3 'could not be asked: .*more than is read'
how words
checks 3 'could not be asked'
how status '"passed": true'
checks 3 'could not be asked: .*status 500'
how right '"passed": "yes"'
checks 3 'does not say whether it passed'
how right '"passed": true, "why": "ticket 17"'
ingot promote -q "$where" dev prod >/dev/null || fail "a check that passed"
hook secret-rm release
checks 3 "no secret 'release'"
sed -i 's/secret: release/secrets: release/' "$TMP/pipelines.yaml"
expect 2 ingot pipeline apply "$REGISTRY" "$TMP/pipelines.yaml"
ok "a check counts by its own signed answer to this request alone, and whatever else comes is refused"
touch "$TMP/end"
kill "$SERVER"
wait "$SERVER" || fail "ingotd ends with $?"
ok "the server ends at once"
