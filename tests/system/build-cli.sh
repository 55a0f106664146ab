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
printf 'name: web\nsource: {from: no-such-image}\n' >web.2.yaml
expect 2 ingot build --refresh "it's here" web.2.yaml
says "write --refresh='it'\\''s here'"
ok "--refresh takes its step behind a '=' alone, and what is told to be written can be pasted"

# Verbs that read make nothing: neither a store nor a cache, and none of the folders above.
export INGOT_STORE=$TMP/none/store INGOT_CACHE=$TMP/none/cache
printf 'name: made\nsource: {bootstrap: {suite: bookworm, mirror: "http://127.0.0.1:1/debian"}}\nsteps: [{shell: "true"}]\n' >made.yaml
for verb in images 'cache ls' 'cache du' 'cache prune' 'plan made.yaml' 'validate made.yaml'; do
    # shellcheck disable=SC2086
    expect 0 ingot $verb
    [ ! -e "$TMP/none" ] || fail "ingot $verb has made $(find "$TMP/none")"
done
for verb in 'show web:1' 'rm web:1' 'export web:1 -F raw -o x.raw' 'push web:1 127.0.0.1:1/web' 'run web:1' 'plan web.2.yaml' 'shell made.yaml' 'cache rm web' 'cache pin web'; do
    # shellcheck disable=SC2086
    expect 1 ingot $verb
    [ ! -e "$TMP/none" ] || fail "ingot $verb has made $(find "$TMP/none")"
done
expect 0 env TMPDIR="$TMP/none" ingot plan made.yaml
export INGOT_STORE=$TMP/store INGOT_CACHE=$TMP/cache
ok "what only reads makes neither store nor cache, and needs no work folder"

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
for number in 0 -1; do
    expect 2 ingot build -j "$number" web.yaml
    says "--jobs $number: a number from 1 on is expected"
    expect 2 ingot run --cpus "$number" web:1
    says "--cpus $number: 1 to 64 are possible"
    expect 2 ingot pack --threads "$number" web.yaml web:1
    says "--threads $number: a number from 1 on is expected"
done
ok "no number stands for one that is not given"

# A report of an earlier build does not stand for one that could not begin.
echo '<testsuites/>' >junit.xml
expect 2 ingot build --junit junit.xml missing.yaml 'odd<.yaml'
python3 - <<'PY'
import xml.etree.ElementTree as tree
suites = list(tree.parse("junit.xml").getroot().iter("testsuite"))
assert [suite.get("name") for suite in suites] == ["missing.yaml", "odd<.yaml"], suites
assert all(suite.get("errors") == "1" and "missing.yaml" in next(suite.iter("error")).get("message") for suite in suites)
PY
ok "--junit tells of recipes that are not valid"

# What would fail after the build is told before it.
expect 2 ingot build --junit web.yaml/junit.xml web.yaml
says "--junit web.yaml/junit.xml: it cannot be written: web.yaml is no folder that you may write to"
expect 2 ingot build --junit new/folder/junit.xml missing.yaml
[ -s new/folder/junit.xml ] || fail "no report where its folder has to be made"
expect 2 ingot build --junit "$TMP" web.yaml
says "it is a folder"
expect 2 env INGOT_CACHE_SIZE=abc ingot build web.yaml
says "INGOT_CACHE_SIZE: "
ok "a report that cannot be written and a wrong INGOT_CACHE_SIZE are told before the build"

# A step is named without doubt.
printf 'name: dup\nsource: {from: no-such-image}\nsteps: [{name: dup, shell: a}, {name: dup, shell: b}, {name: "2", shell: c}]\n' >dup.yaml
expect 2 ingot build --cache-secret dup dup.yaml
says "2 steps are called 'dup'; use the number"
expect 2 ingot build --cache-secret 2 dup.yaml
says "2 steps are called '2'; give that of this name another one"
expect 1 ingot build --cache-secret 1 dup.yaml
says "no-such-image"
expect 2 ingot build --cache-secret 1 dup.yaml web.yaml
says "several recipes have a step '1'; use its name"
expect 2 ingot build --cache-secret 4 dup.yaml
says "'4' is not a step"
ok "a name of two steps is refused, a number is taken"
