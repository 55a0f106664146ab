#!/bin/bash
# The manual tells the truth: every verb and option that --help shows is in it, every recipe key too; the pages are
# clean, the completion completes.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh

options_of() { grep -oE -- '(^|[ ,])--[a-z][a-z0-9-]*' | tr -d ' ,' | sort -u; }
page=$(sed 's/\\-/-/g' registry/cli/ingot.1)
verbs=$(ingot --help | awk '/^Verbs:/ { on = 1; next } on && /^  [a-z]/ { print $1 } on && /^$/ { exit }')
[ "$(wc -w <<<"$verbs")" -ge 11 ] || fail "ingot --help lists too few verbs: $verbs"
for verb in $verbs; do
    grep -qE "^\.(BI|B) (\")?$verb\b" <<<"$page" || fail "ingot.1 does not speak of '$verb'"
    ingot "$verb" --help >"$TMP/help"
    grep -q '^Example' "$TMP/help" || fail "ingot $verb --help shows no example"
    for option in $(options_of <"$TMP/help"); do
        [ "$option" = --help ] || grep -qE -- "$option\b" <<<"$page" || fail "ingot.1 does not speak of '$option' of '$verb'"
    done
done
sed 's/\\-/-/g' registry/server/ingotd.8 >"$TMP/ingotd.8"
for option in $(ingotd --help | options_of); do
    grep -qE -- "$option\b" "$TMP/ingotd.8" || fail "ingotd.8 does not speak of '$option'"
done
server_verbs=$(ingotd --help | awk '/^Verbs / { on = 1; next } on && /^  [a-z]/ { print $1 } on && /^$/ { exit }')
[ "$(wc -w <<<"$server_verbs")" -ge 3 ] || fail "ingotd --help lists too few verbs: $server_verbs"
for verb in $server_verbs; do
    [ "$verb" = serve ] || grep -qE "^\.(BI|B|SS) \"?$verb\b" "$TMP/ingotd.8" || fail "ingotd.8 does not speak of '$verb'"
    ingotd "$verb" --help >"$TMP/help"
    grep -q '^Example' "$TMP/help" || fail "ingotd $verb --help shows no example"
    for option in $(options_of <"$TMP/help"); do
        grep -qE -- "$option\b" "$TMP/ingotd.8" || fail "ingotd.8 does not speak of '$option' of '$verb'"
    done
done
ok "every verb and option is in the manual"

# The table of settings is what the program says of itself.
env -i "$B/ingotd" --check-config >"$TMP/settings"
env -i "$B/ingotd" --help >"$TMP/help"
python3 - "$TMP/settings" registry/server/ingotd.8 "$TMP/help" <<'PY' || fail "the settings of ingotd.8 are not those of ingotd"
import re, sys
told, page, help_text = (open(path).read() for path in sys.argv[1:])
code = re.findall(r"# (.*)\n# (--.*), (\w+) \(default\)\n#?([a-z-]+)=(.*)\n", told)
table = page[page.index("\n.TS\n"):page.index("\n.TE\n")]
rows = re.findall(r"\n_\n(.*)\t(.*)\tT\{\n(.*)\nT\}\n(.*)\n(.*)(?=\n)", table + "\n")
manual = [(meaning, flag, variable, key, "" if default == "none" else default) for flag, default, meaning, variable, key in rows]
assert table.count("\n_\n") == len(rows) == len(told.split("=")) - 1 > 5, (rows, told)
for one, other in zip(code, manual):
    assert one == other, (one, other)
assert len(code) == len(manual)
for meaning, flag, variable, key, default in code:
    assert flag.split()[0] == "--" + key and variable == "INGOTD_" + key.upper().replace("-", "_")
    line = flag.replace(" ", "=") + " "
    assert re.search(re.escape(line) + " *" + re.escape(meaning + (f" ({default})" if default else "")) + r"\n", help_text), flag
PY
ok "the settings are in the manual as they are"

python3 - <<'PY' >"$TMP/keys"
import json
def keys(node):
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"]
        for value in node.values():
            yield from keys(value)
    elif isinstance(node, list):
        for value in node:
            yield from keys(value)
print("\n".join(sorted(set(keys(json.load(open("recipes/recipe.schema.json")))))))
PY
while read -r key; do
    grep -qw -- "$key" builder/recipe/ingot-recipe.5 || fail "ingot-recipe.5 does not speak of '$key'"
done <"$TMP/keys"
sed -n '/^\.SH EXAMPLE/,/^\.fi/p' builder/recipe/ingot-recipe.5 | grep -v '^\.' >"$TMP/web.yaml"
mkdir "$TMP/site"
ingot validate "$TMP/web.yaml" --var token=x 2>"$TMP/err" || fail "the example of ingot-recipe.5: $(cat "$TMP/err")"
ok "every recipe key is in the manual, its example is valid"

for header in include/ingot/*.h; do
    grep -qF "ingot/$(basename "$header")" registry/libingot.3 || fail "libingot.3 does not speak of $header"
    for function in $(sed 's,/\*.*\*/,,; /^ *\/\*/,/\*\//d' "$header" | grep -oE '\bingot_[a-z0-9_]+\(' | sort -u); do
        grep -qxE "\.BR ${function%(} \(\),?" registry/libingot.3 || fail "libingot.3 does not speak of ${function%(} of $header"
    done
done
for function in $(grep -oE '^\.BR ingot_[a-z0-9_]+ ' registry/libingot.3 | cut -d' ' -f2); do
    grep -qE "\b$function\(" include/ingot/*.h || fail "libingot.3 speaks of $function, which no header declares"
done
ok "every function of the library is in the manual"

for page in registry/libingot.3 registry/cli/ingot.1 registry/server/ingotd.8 builder/recipe/ingot-recipe.5; do
    mandoc -Tlint -Wwarning "$page" >"$TMP/lint" || fail "$page: $(cat "$TMP/lint")"
done
ok "the pages are clean"

# shellcheck source=registry/cli/ingot.bash
. registry/cli/ingot.bash
complete_at() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _ingot
    echo "${COMPREPLY[*]}"
}
[ "$(complete_at ingot pu)" = "publish pull push" ] || fail "verbs: $(complete_at ingot pu)"
for verb in $verbs; do [[ " $(complete_at ingot '') " = *" $verb "* ]] || fail "the completion lacks '$verb'"; done
[ "$(complete_at ingot pack --sh)" = --sha256 ] || fail "options: $(complete_at ingot pack --sh)"
[[ " $(complete_at ingot pull --f) " = *" --format "* ]] || fail "options: $(complete_at ingot pull --f)"
small_disk "$TMP/disk.raw"
ingot pack -q "$TMP/disk.raw" team/web:1.0.0 >/dev/null
[ "$(complete_at ingot show team/)" = "team/web:1.0.0" ] || fail "images: $(complete_at ingot show team/)"
ok "the completion completes verbs, options and images"
