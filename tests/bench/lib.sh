# shellcheck shell=bash
# What the parts of the benchmark share: sourced with `set -eu`, in the top of the tree. A part prints rows on its standard
# output: NAME|OURS|PEER|UNIT|GOAL, or NAME|FAILED|WHY for what could not be measured, and goes on with the next.
# $BENCH_WORK is a folder for all parts, $BENCH_SMALL is set where the rows count and not the figures.

mkdir -p "$BENCH_WORK"
work=$BENCH_WORK
small=${BENCH_SMALL:-}
running=() # servers
groups=()  # what attempt has started
failures=0

finish() {
    local pid
    for pid in "${groups[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
    for pid in "${running[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
trap finish EXIT
trap 'exit 130' INT TERM

# full FULL SMALL: how much of something.
full() { if [ -z "$small" ]; then echo "$1"; else echo "$2"; fi; }
runs=$(full 3 1)
note() { printf '   %s\n' "$*" >&2; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# The wall seconds of a command, whose output is shown if it fails.
seconds() {
    /usr/bin/time -o "$work/time" -f %e "$@" >"$work/out" 2>"$work/err" || {
        echo "$*:" >&2
        tail -50 "$work/err" >&2
        return 1
    }
    tail -1 "$work/time"
}
row() { printf '%s|%s|%s|%s|%s\n' "$@"; }

# attempt NAME SECONDS COMMAND…: runs a function that prints rows, in a shell and a process group of its own. If it fails or takes
# longer, a row that says so follows those that it has printed. It returns 0: what failed is counted in $failures.
attempt() {
    local name=$1 limit=$2 pid dog status=0
    shift 2
    set -m
    (
        running=() groups=()
        set -e
        "$@"
    ) </dev/null >"$work/attempt.rows" 2>"$work/attempt.err" &
    pid=$!
    (sleep "$limit" && kill -TERM -- "-$pid") >/dev/null 2>&1 &
    dog=$!
    set +m
    groups=("$pid" "$dog")
    wait $pid || status=$?
    kill -TERM -- "-$dog" 2>/dev/null || status=overtime
    wait $dog 2>/dev/null || true
    kill -TERM -- "-$pid" 2>/dev/null || true
    # The next one may need the folder or the port that a server still holds.
    for _ in $(seq 100); do
        kill -0 -- "-$pid" 2>/dev/null || break
        sleep 0.1
    done
    groups=()
    cat "$work/attempt.rows"
    [ "$status" != 0 ] || return 0
    failures=$((failures + 1))
    [ "$status" != overtime ] || echo "it took longer than $limit s" >>"$work/attempt.err"
    printf '%s:\n' "$name" >&2
    tail -50 "$work/attempt.err" >&2
    row "$name" FAILED "$(tail -1 "$work/attempt.err" | tr '|' '/')" '' ''
}
# done_with: ends a part; its status says whether all was measured.
done_with() { [ $failures = 0 ]; }

# pair NAME GOAL OURS PEER: runs of each in turn, medians.
pair() {
    local one=() other=() figure
    for _ in $(seq "$runs"); do
        figure=$($3)
        one+=("$figure")
        figure=$($4)
        other+=("$figure")
    done
    row "$1" "$(printf '%s\n' "${one[@]}" | median)" "$(printf '%s\n' "${other[@]}" | median)" s "$2"
}

# serve DATA: starts ingotd: $registry is its HOST:PORT, $server its process.
serve() {
    : >"$work/address"
    ingotd --data "$1" --listen 127.0.0.1:0 >"$work/address" 2>"$work/ingotd.log" &
    server=$!
    running+=("$server")
    until grep -q http "$work/address"; do sleep 0.1; kill -0 $server; done
    registry=$(sed 's,.*http://,,' "$work/address")
    export registry server
}
stop() {
    kill "$1"
    wait "$1" || true
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# files FROM TO: names of this machine's own programs and libraries below /usr, those between so many bytes of all.
files() {
    (cd /usr && find lib bin share -xdev -type f -size -16M -printf '%s %p\n' 2>/dev/null | sort -k2 |
        awk -v from="$1" -v to="$2" '{ s += $1; if (s > from && s <= to) { sub(/^[0-9]+ /, ""); print } }')
}
# add_files DISK FOLDER: adds the files that are named on standard input, in a new folder.
add_files() {
    awk -v folder="$2" 'BEGIN { print "mkdir " folder "\ncd " folder } { print "write /usr/" $0 " f" NR }' | debugfs -w "$1" >/dev/null 2>&1
}
# make_disks: v1.raw, 2 GiB of ext4 with about 650 MB in it, and v2.raw, which has some 60 MB more.
make_disks() {
    local unit
    [ ! -e "$work/v2.raw" ] || return 0
    unit=$(full 10000000 200000)
    note "making the disks"
    mkdir "$work/tree"
    (cd /usr && files 0 $((65 * unit)) | cpio -pdm --quiet "$work/tree")
    truncate -s "$(full 2G 256M)" "$work/v1.raw"
    mke2fs -q -t ext4 -d "$work/tree" "$work/v1.raw"
    cp --sparse=always "$work/v1.raw" "$work/v2.part"
    files $((65 * unit)) $((71 * unit)) | add_files "$work/v2.part" new
    mv "$work/v2.part" "$work/v2.raw"
    sync
    cat "$work"/v?.raw >/dev/null # both sides read from memory
}
# The base that machines are made of.
make_base() { ingot build -q --no-test recipes/debian-12.yaml >/dev/null; }
