#!/bin/bash
# A property: whatever happened to a recipe between its builds (edits, links that lead elsewhere, modes, steps that move, steps
# that fail, builds that are killed), the image that the cache helps to make is, file by file, that which is made without it.
#
# PROPERTY_SEED chooses the story, PROPERTY_TURNS how long it is.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=tests/system/lib.sh
. tests/system/lib.sh
# shellcheck source=tests/system/base.sh
. tests/system/base.sh
share_base warm
export TMPDIR=$TMP/work
mkdir -p "$TMPDIR" "$TMP/recipe"
export PROPERTY_SEED=${PROPERTY_SEED:-1} PROPERTY_TURNS=${PROPERTY_TURNS:-6}
echo "seed $PROPERTY_SEED, $PROPERTY_TURNS turns"

cat >"$TMP/story.py" <<'PY'
"""Plays a story on the folder of a recipe: prints what happened, builds after each turn."""
import os, random, signal, subprocess, sys

folder, turns = sys.argv[1], int(sys.argv[2])
chance = random.Random(int(sys.argv[3]))
at = lambda *names: os.path.join(folder, *names)
word = lambda: "".join(chance.choice("abcdefgh") for _ in range(8))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def point(link, target):
    if os.path.lexists(link):
        os.remove(link)
    os.symlink(target, link)


# Two versions of a file and of a tree, each reached by a link, and a script that another one leads to.
for version in "12":
    write(at("v" + version, "app.conf"), word())
    write(at("v" + version, "sub", "tool"), "#!/bin/sh\necho " + word() + "\n")
write(at("real.sh"), "echo " + word() + " >>/srv/log\n")
point(at("current.conf"), "v1/app.conf")
point(at("site"), "v1")
point(at("run.sh"), "real.sh")
steps = [
    ["shell", word()], ["file", "{from: current.conf, to: /etc/app.conf, mode: '0640'}"],
    ["script", "run.sh"], ["file", "{from: site, to: /srv/site}"], ["shell", word()],
]


def recipe(failing=False):
    lines = ["name: story", "version: 1.0.0", "source: {from: debian-12}", "machine: {cpus: 1}", "steps:"]
    for number, (kind, text) in enumerate(steps):
        if failing and number == len(steps) - 1:
            lines.append("  - shell: 'echo torn >>/srv/log; exit 1'")
        if kind == "shell":
            text = f"'echo {text} >>/srv/log; echo {text} >/srv/only-{text}'"
        lines.append(f"  - {kind}: {text}")
    write(at("story.yaml"), "\n".join(lines) + "\n")


def build(*options, wanted=0):
    child = subprocess.run(["ingot", "build", "-q", "--no-test", *options, at("story.yaml")], capture_output=True, text=True)
    if child.returncode != wanted:
        sys.exit(f"the build ends with {child.returncode}, not {wanted}:\n{child.stderr[-3000:]}")


def edit():
    number = chance.choice([i for i, step in enumerate(steps) if step[0] == "shell"])
    steps[number][1] = word()
    return f"step {number} has another text"


def file_edit():
    path = os.path.realpath(chance.choice([at("current.conf"), at("run.sh")]))
    write(path, f"echo {word()} >>/srv/log\n")
    return os.path.relpath(path, folder) + " is edited behind its link"


def tree_edit():
    write(at(os.readlink(at("site")), "sub", word()), word())
    return "the tree has another file"


def mode():
    path = at("site", "sub", "tool")
    os.chmod(path, os.stat(path).st_mode ^ 0o111)
    return "a mode changes"


def link():
    name = chance.choice(["current.conf", "site"])
    target = os.readlink(at(name))
    point(at(name), target.replace("v1", "v#").replace("v2", "v1").replace("v#", "v2"))
    return f"{name} leads elsewhere"


def swap():
    number = chance.randrange(len(steps) - 1)
    steps[number], steps[number + 1] = steps[number + 1], steps[number]
    return f"steps {number} and {number + 1} change places"


def fail():
    recipe(failing=True)
    build(wanted=1)
    return "a step failed"


def kill():
    steps[-1 if steps[-1][0] == "shell" else [i for i, s in enumerate(steps) if s[0] == "shell"][0]][1] = word()
    recipe()
    child = subprocess.Popen(["ingot", "build", "-q", "--no-test", at("story.yaml")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    seconds = chance.uniform(0.5, 12)
    try:
        child.wait(seconds)
        return f"a build was done within {seconds:.1f} s"
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
        return f"a build was killed after {seconds:.1f} s"


recipe()
build()
for turn in range(turns):
    print(f"turn {turn + 1}: {chance.choice([edit, file_edit, tree_edit, mode, link, swap, fail, kill])()}", flush=True)
    recipe()
    build()
PY
python3 "$TMP/story.py" "$TMP/recipe" "$PROPERTY_TURNS" "$PROPERTY_SEED" || fail "the story"
ok "every build ended as it should"

ingot build -q --no-test --no-cache "$TMP/recipe/story.yaml" -t plain:1.0.0 >/dev/null 2>"$TMP/err" || fail "without the cache: $(tail -20 "$TMP/err")"

# The files of an image: a folder with all of them, and a list of types, modes, owners and targets.
unpack() {
    ingot pull -q "$1:1.0.0" -o "$TMP/$1.raw" >/dev/null
    mkdir "$TMP/$1"
    debugfs -R "rdump /etc /srv /root /usr/local /opt /home /boot/grub /var/lib/dpkg $TMP/$1" "$TMP/$1.raw?offset=$((66 << 20))" >/dev/null 2>&1
    for path in / /etc /srv /srv/site /srv/site/sub /root /var /usr/local /etc/systemd/system; do
        debugfs -R "ls -l $path" "$TMP/$1.raw?offset=$((66 << 20))" 2>/dev/null |
            awk -v path="$path" 'NF > 7 { print path, $2, $4, $5, $NF, ($2 ~ /^1/ ? $6 : "") }' | sort
    done >"$TMP/$1.list"
    rm "$TMP/$1.raw"
}
unpack story
unpack plain
[ "$(wc -l <"$TMP/story.list")" -gt 100 ] && [ -s "$TMP/story/srv/log" ] || fail "the image could not be read"
diff "$TMP/story.list" "$TMP/plain.list" >"$TMP/diff" || fail "modes, owners or sizes: $(cat "$TMP/diff")"
diff -r --no-dereference "$TMP/story" "$TMP/plain" >"$TMP/diff" 2>&1 || fail "files: $(head -40 "$TMP/diff")"
ok "with and without the cache the image is the same, file by file"
