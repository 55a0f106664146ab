#!/bin/bash
# What ingot build says before any machine boots: mistakes, words after --refresh, JSON of a failure.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

says() { grep -qF -- "$1" "$TMP/err" || fail "expected '$1' among: $(head -c 2000 "$TMP/err")"; }

printf 'name: web\nsource: {from: no-such-image}\nvariables: {token: {secret: true}}\nsteps: [{name: site, shell: "true"}]\n' >"$TMP/web.yaml"
mkdir "$TMP/site"
cd "$TMP"

# A word after a bare --refresh is a recipe, a folder that is called like the step is no recipe by that.
expect 1 ingot build web.yaml --refresh=site
says "no-such-image"
expect 2 ingot build web.yaml --refresh install
says "install: there is no such recipe; to run a step and all after it, write --refresh=install"
expect 1 ingot build --refresh web.yaml
says "no-such-image"
ok "--refresh takes its step behind a '=' alone"

# JSON on stdout, also of a failure.
expect 2 ingot build --json missing.yaml
python3 -c 'import json, sys; o = json.load(open(sys.argv[1])); assert o["ok"] is False and "missing.yaml" in o["error"]' out
expect 1 ingot build --json --junit junit.xml --log-dir logs web.yaml --var token=no-such-image
python3 - <<'PY'
import json
import xml.etree.ElementTree as tree
outcome = json.load(open("out"))
recipe, = outcome["recipes"]
assert outcome["ok"] is False and recipe["state"] == "failed" and recipe["name"] == "web", outcome
assert "no-such-image" not in json.dumps(outcome) and "***" in recipe["error"], outcome
case, = tree.parse("junit.xml").getroot().iter("testcase")
assert "***" in case.find("error").get("message"), tree.tostring(case)
PY
grep -q '\*\*\*' logs/web/build.log || fail "the log does not tell of the failure: $(cat logs/web/build.log)"
! grep -rq 'no-such-image' logs err || fail "a secret is shown"
ok "a build that fails has its JSON object, its JUnit report and its log, without secrets"

# Of two recipes with one name, each has its own log.
mkdir twins
for version in 1.0.0 2.0.0; do
    printf 'name: twin\nversion: %s\nsource: {from: no-such-image}\n' $version >twins/$version.yaml
done
expect 1 ingot build --log-dir logs twins
for version in 1.0.0 2.0.0; do
    grep -q "build twin:$version" logs/twin/$version/build.log || fail "there is no log of twin:$version"
done
[ ! -e logs/twin/build.log ] || fail "two recipes write one log"
ok "recipes that share a name have logs of their own"

expect 2 ingot build --timeout never web.yaml
says "--timeout 'never': a time from 1s to 30d is expected"
ok "mistakes in options are told"
