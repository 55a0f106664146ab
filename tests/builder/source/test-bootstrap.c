/* A bootstrapped base: made once for a state of its mirror, used until its max_age, checked at each use. The mirror is
 * a folder; in mmdebstrap's place a script packs a tree that looks like a machine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/process.h"
#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/source.h"

#define NOBODY 65534 /* a user who owns nothing */
#define WEEK (7 * 24 * 60 * 60)
#define LOGIN "builder:s3cret"

/* The last argument but one is the archive; each run is counted, and its environment is noted. */
static const char mmdebstrap[] =
    "#!/bin/sh\n"
    "set -e\n"
    "for word; do tar=$last; last=$word; done\n"
    "here=$(dirname \"$0\")\n"
    "echo run >>\"$here/runs\"\n"
    "umask >\"$here/umask\"; echo \"$LC_ALL $TZ\" >\"$here/locale\"; printf '%s\\n' \"$@\" >\"$here/words\"\n"
    "[ ! -e \"$here/moves\" ] || { rm \"$here/moves\"; echo moved >>\"$here/mirror/dists/bookworm/InRelease\"; }\n"
    "date -u -d @$SOURCE_DATE_EPOCH >\"$here/tree/etc/state\"\n"
    "tar -C \"$here/tree\" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$SOURCE_DATE_EPOCH -cf \"$tar\" "
    ".\n";

typedef struct {
    IngotWorkdir *workdir;
    char *cache, *release, *path;
    Recipe recipe;
    SourceContext context;
} Fixture;

static void put(const Fixture *fixture, const char *name, const char *text, int mode)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, name);
    g_autofree char *folder = g_path_get_dirname(path);
    assert_true(ingot_file_make_folder(folder, NULL) && ingot_file_replace(path, text, strlen(text), mode, NULL));
}

/* The mirror's state of a day of November 2025. */
static void set_mirror(const Fixture *fixture, int day)
{
    g_autofree char *text = g_strdup_printf(
        "Hash: SHA512\n\nOrigin: Debian\nDate: Sat, %02d Nov 2025 10:00:00 UTC\nSHA256:\n %064d 1 main\n", day, day);
    put(fixture, "mirror/dists/bookworm/InRelease", text, 0644);
}

static int set_up(void **state)
{
    static const char *const tree[][2] = {
        {"usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n"},
        {"var/lib/dpkg/status", "Package: zstd\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"},
        {"usr/sbin/sshd", ""},
        {"usr/lib/systemd/systemd", ""},
        {"usr/lib/systemd/systemd-resolved", ""},
        {"usr/bin/systemd-repart", ""},
        {"initrd.img", ""},
        {"vmlinuz", ""},
        {"etc/state", ""},
    };
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->cache = ingot_workdir_file(fixture->workdir, "cache");
    fixture->release = ingot_workdir_file(fixture->workdir, "mirror/dists/bookworm/InRelease");
    for (guint i = 0; i < G_N_ELEMENTS(tree); i++) {
        g_autofree char *name = g_build_filename("tree", tree[i][0], NULL);
        put(fixture, name, tree[i][1], 0644);
    }
    put(fixture, "mmdebstrap", mmdebstrap, 0755);
    set_mirror(fixture, 1);
    fixture->path = g_strdup(g_getenv("PATH"));
    g_autofree char *path = g_strconcat(ingot_workdir_path(fixture->workdir), ":", fixture->path, NULL);
    g_setenv("PATH", path, TRUE);
    g_autofree char *mirror = g_strdup_printf("file://%s/mirror", ingot_workdir_path(fixture->workdir));
    fixture->recipe.tree =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:[s], s:[s], s:i}, s:{s:i, s:I, s:I, s:s}}", "source", "kind", "bootstrap",
                  "distribution", "debian", "suite", "bookworm", "mirror", mirror, "components", "main", "packages",
                  "less", "max_age", WEEK, "machine", "cpus", 1, "memory", (json_int_t)(256 << 20), "disk",
                  (json_int_t)(512 << 20), "firmware", "bios");
    fixture->context = (SourceContext){
        .recipe = &fixture->recipe, .cache = fixture->cache, .workdir = ingot_workdir_path(fixture->workdir)};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    g_setenv("PATH", fixture->path, TRUE);
    json_decref(fixture->recipe.tree);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->cache);
    g_free(fixture->release);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

static char *read_file(const Fixture *fixture, const char *name)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, name);
    char *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* How often packages were installed. */
static guint runs_of(const Fixture *fixture)
{
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "runs");
    g_autofree char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? (guint)(strlen(text) / strlen("run\n")) : 0;
}

static Source *make(const Fixture *fixture, char **key)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, &error);
    assert_null(error);
    g_autoptr(Source) source = source_prepare(&fixture->context, identity, &error);
    assert_null(error);
    *key = g_strdup(source_identity_key(identity));
    return g_steal_pointer(&source);
}

static char *key_of(const Fixture *fixture)
{
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    assert_non_null(identity);
    return g_strdup(source_identity_key(identity));
}

static char *record_path(const Source *source)
{
    g_autofree char *folder = g_path_get_dirname(source->path);
    return g_build_filename(folder, "source.json", NULL);
}

/* As if the mirror had been asked that long ago. */
static void age(const Source *source, gint64 seconds)
{
    g_autofree char *path = record_path(source);
    g_autoptr(json_t) record = json_load_file(path, 0, NULL);
    json_object_set_new(record, "asked", json_integer(g_get_real_time() / G_USEC_PER_SEC - seconds));
    assert_int_equal(json_dump_file(record, path, 0), 0);
}

static void flip_byte(const char *path)
{
    struct stat before;
    assert_int_equal(stat(path, &before), 0);
    int fd = open(path, O_RDWR);
    char byte = 0;
    assert_true(fd >= 0 && pread(fd, &byte, 1, (200 << 20) + 12345) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (200 << 20) + 12345), 1);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    assert_int_equal(futimens(fd, times), 0); /* as a disk that rots leaves them */
    close(fd);
}

/* The same state gives the same bytes, and they are made once. */
static void test_made_once(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *same = NULL, *fresh = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    assert_int_equal(runs_of(fixture), 1);
    assert_int_equal(json_array_size(first->sealed), 0);
    assert_non_null(first->sealed);
    assert_string_equal(first->format, "raw");
    g_autoptr(Source) second = make(fixture, &same);
    assert_int_equal(runs_of(fixture), 1);
    assert_string_equal(first->path, second->path);
    assert_string_equal(key, same);
    fixture->context.refresh = TRUE;
    g_autoptr(Source) third = make(fixture, &fresh);
    assert_int_equal(runs_of(fixture), 2);
    assert_string_equal(first->path, third->path); /* named by its bytes */
    assert_string_equal(key, fresh);
}

/* Up to its max_age a base is used without a look at the mirror; then a mirror that has not changed confirms it, one
 * that has changed gives another base under another key. */
static void test_age(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *young = NULL, *confirmed = NULL, *other = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    age(first, WEEK - 60);
    set_mirror(fixture, 2);
    g_autoptr(Source) second = make(fixture, &young);
    assert_string_equal(key, young);
    age(first, WEEK + 60);
    set_mirror(fixture, 1);
    g_autoptr(Source) third = make(fixture, &confirmed);
    assert_string_equal(key, confirmed);
    set_mirror(fixture, 2);
    g_autofree char *still = key_of(fixture); /* it was confirmed just now */
    assert_string_equal(key, still);
    assert_int_equal(runs_of(fixture), 1);
    age(first, WEEK + 60);
    g_autoptr(Source) fourth = make(fixture, &other);
    assert_int_equal(runs_of(fixture), 2);
    assert_string_not_equal(key, other);
    assert_string_not_equal(first->path, fourth->path);
}

/* A record from the future is no reason to go on for ever. */
static void test_clock(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    age(first, -WEEK);
    set_mirror(fixture, 2);
    g_autofree char *other = key_of(fixture);
    assert_string_not_equal(key, other);
}

/* Without its mirror, a base that is there goes on; one that is not can't be made. */
static void test_offline(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *same = NULL;
    g_autoptr(GError) error = NULL;
    assert_int_equal(unlink(fixture->release), 0);
    assert_null(source_identify(&fixture->context, &error));
    assert_non_null(strstr(error->message, "/mirror/dists/bookworm/InRelease"));
    set_mirror(fixture, 1);
    g_autoptr(Source) first = make(fixture, &key);
    age(first, WEEK + 60);
    assert_int_equal(unlink(fixture->release), 0);
    g_autoptr(Source) second = make(fixture, &same);
    assert_string_equal(key, same);
    assert_int_equal(runs_of(fixture), 1);
}

/* What a plan says of the source. */
static SourceLook look_at(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, &error);
    if (identity == NULL) {
        fail_msg("%s", error->message);
    }
    return source_look(&fixture->context, identity);
}

/* A plan says whether a build would ask the mirror first, and on which disk it would stand until then. */
static void test_due(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    fixture->context.look = TRUE;
    g_auto(SourceLook) none = look_at(fixture);
    assert_null(none.disk);
    assert_non_null(strstr(none.due, "made first"));
    assert_non_null(strstr(none.fetch, "are downloaded first, from "));
    fixture->context.look = FALSE;
    g_autoptr(Source) made = make(fixture, &key);
    fixture->context.look = TRUE;
    g_auto(SourceLook) young = look_at(fixture);
    assert_string_equal(young.disk, made->path);
    assert_null(young.due);
    assert_null(young.fetch);
    age(made, 2 * WEEK);
    g_auto(SourceLook) old = look_at(fixture);
    assert_string_equal(old.disk, made->path);
    assert_non_null(strstr(old.due, "14 d ago (max_age 7 d)"));
}

/* Looking at a plan asks no mirror. */
static void test_look(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    fixture->context.look = TRUE;
    assert_int_equal(unlink(fixture->release), 0);
    g_autofree char *unknown = key_of(fixture);
    fixture->context.look = FALSE;
    set_mirror(fixture, 1);
    g_autoptr(Source) first = make(fixture, &key);
    assert_string_not_equal(unknown, key);
    age(first, 2 * WEEK);
    set_mirror(fixture, 2);
    fixture->context.look = TRUE;
    g_autofree char *looked = key_of(fixture);
    assert_string_equal(looked, key);
}

/* A flipped byte is found at the next use, though the file's times say nothing. */
static void test_flipped_byte(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *again = NULL;
    g_autofree char *path = NULL;
    {
        g_autoptr(Source) first = make(fixture, &key);
        path = g_strdup(first->path);
    }
    g_autoptr(GBytes) whole = ingot_file_read(path, 1ull << 30, NULL);
    g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, whole);
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    flip_byte(path);
    assert_null(source_prepare(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED));
    g_autoptr(Source) second = make(fixture, &again); /* as a build does then */
    assert_int_equal(runs_of(fixture), 2);
    assert_string_equal(key, again);
    g_autoptr(GBytes) made = ingot_file_read(second->path, 1ull << 30, NULL);
    g_autofree char *made_digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, made);
    assert_string_equal(digest, made_digest);
}

/* Where its record cannot be written: the packages are installed, the build has its disk, and the next one does it
 * again. */
static void test_not_noted(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *again = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    g_autofree char *path = record_path(first);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(g_mkdir(path, 0755), 0);
    g_autoptr(Source) second = make(fixture, &again);
    assert_int_equal(runs_of(fixture), 2);
    assert_string_equal(key, again);
    assert_true(g_file_test(second->path, G_FILE_TEST_IS_REGULAR));
    assert_true(json_is_array(second->packages) && json_is_object(json_object_get(second->config, "os")));
}

/* A cache that nobody can make costs time alone: the base is this build's own. */
static void test_no_cache_can_be_made(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    fixture->context.cache = "/proc/nowhere";
    g_autoptr(Source) made = make(fixture, &key);
    assert_true(g_str_has_prefix(made->path, ingot_workdir_path(fixture->workdir)));
    assert_true(g_file_test(made->path, G_FILE_TEST_IS_REGULAR));
}

/* A cache that another user fills: it may be read, and that is enough for a base that is kept. Without one there is
 * nothing that could be made. */
static void test_cache_of_another_user(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *same = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    g_clear_pointer(&first->use, ingot_lock_release);
    fixture->context.refresh = TRUE;
    g_autoptr(SourceIdentity) anew = source_identify(&fixture->context, NULL);
    fixture->context.refresh = FALSE;
    const char *lend[] = {"chmod", "-R", "a+rX,a-w", fixture->cache, NULL};
    const char *take_back[] = {"chmod", "-R", "u+w", fixture->cache, NULL};
    assert_true(ingot_process_run(lend, NULL, NULL, NULL));
    assert_int_equal(chmod(ingot_workdir_path(fixture->workdir), 0755), 0);
    uid_t own = geteuid();
    assert_true(own != 0 || seteuid(NOBODY) == 0);
    g_autoptr(Source) second = make(fixture, &same);
    g_autoptr(GError) error = NULL;
    g_autoptr(Source) none = source_prepare(&fixture->context, anew, &error);
    assert_true(own != 0 || seteuid(own) == 0);
    assert_true(ingot_process_run(take_back, NULL, NULL, NULL));
    assert_string_equal(first->path, second->path);
    assert_string_equal(key, same);
    assert_null(none);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
    assert_int_equal(runs_of(fixture), 1);
}

/* The plan is of one state: a base that has to be made from another one is not put in its place. */
static void test_damaged_and_moved(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *other = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    set_mirror(fixture, 2);
    flip_byte(first->path);
    assert_null(source_prepare(&fixture->context, identity, NULL));
    g_autoptr(Source) second = make(fixture, &other);
    assert_string_not_equal(key, other);
}

/* What was fetched from a mirror in the middle of an update is not kept. */
static void test_moves_meanwhile(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, NULL);
    put(fixture, "moves", "", 0644);
    assert_null(source_prepare(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED));
    g_autoptr(Source) source = make(fixture, &key);
    assert_string_not_equal(key, source_identity_key(identity));
    assert_int_equal(runs_of(fixture), 2);
}

/* A record that is torn, of another version, or lacks something is as good as none. */
static void test_bad_records(void **state)
{
    static const char *const keys[] = {"version", "disk", "state", "os", "packages", "apt", "date"};
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    g_autoptr(Source) first = make(fixture, &key);
    g_autofree char *path = record_path(first);
    g_autoptr(json_t) whole = json_load_file(path, 0, NULL);
    set_mirror(fixture, 2);
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autoptr(json_t) record = json_copy(whole);
        assert_int_equal(json_object_del(record, keys[i]), 0);
        assert_int_equal(json_dump_file(record, path, 0), 0);
        g_autofree char *other = key_of(fixture);
        assert_string_not_equal(key, other);
    }
    assert_true(g_file_set_contents(path, "{\"version\": 2", -1, NULL));
    g_autofree char *other = key_of(fixture);
    assert_string_not_equal(key, other);
    assert_int_equal(json_dump_file(whole, path, 0), 0);
    g_autofree char *same = key_of(fixture);
    assert_string_equal(key, same);
}

static gboolean is_needed(const char *cache, const char *disk)
{
    (void)cache;
    return g_strcmp0(disk, g_getenv("TEST_NEEDED")) == 0;
}

/* Of earlier bases those stay that a node stands on, or that a build uses. */
static void test_earlier_bases(void **state)
{
    Fixture *fixture = *state;
    g_auto(GStrv) paths = g_new0(char *, 5);
    fixture->context.needed = is_needed;
    fixture->context.refresh = TRUE;
    g_autoptr(Source) used = NULL;
    for (int i = 0; i < 4; i++) {
        set_mirror(fixture, i + 1);
        g_autofree char *key = NULL;
        g_autoptr(Source) source = make(fixture, &key);
        paths[i] = g_strdup(source->path);
        if (i == 0) {
            g_setenv("TEST_NEEDED", source->path, TRUE);
        }
        if (i == 2) {
            used = g_steal_pointer(&source);
        }
    }
    assert_true(g_file_test(paths[0], G_FILE_TEST_EXISTS)); /* needed */
    assert_false(g_file_test(paths[1], G_FILE_TEST_EXISTS));
    assert_true(g_file_test(paths[2], G_FILE_TEST_EXISTS)); /* in use */
    assert_true(g_file_test(paths[3], G_FILE_TEST_EXISTS));
    g_autofree char *sum = g_strconcat(paths[1], ".sum", NULL);
    assert_false(g_file_test(sum, G_FILE_TEST_EXISTS));
    g_clear_pointer(&used, source_free);
    g_unsetenv("TEST_NEEDED");
    g_autofree char *key = NULL;
    fixture->context.refresh = FALSE;
    g_autoptr(Source) last = make(fixture, &key);
    assert_string_equal(last->path, paths[3]);
    assert_false(g_file_test(paths[0], G_FILE_TEST_EXISTS) || g_file_test(paths[2], G_FILE_TEST_EXISTS));
}

static void test_keeps_nothing(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL, *other = NULL;
    fixture->context.refresh = fixture->context.no_cache = TRUE;
    g_autoptr(Source) source = make(fixture, &key);
    assert_true(g_str_has_prefix(source->path, ingot_workdir_path(fixture->workdir)));
    assert_false(g_file_test(fixture->cache, G_FILE_TEST_EXISTS));
    fixture->context.refresh = fixture->context.no_cache = FALSE;
    g_autoptr(Source) kept = make(fixture, &other);
    assert_string_equal(key, other);
    assert_int_equal(runs_of(fixture), 2);
}

/* Nothing of the caller's umask, language and time zone reaches the packages. */
static void test_surroundings(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    mode_t before = umask(0077);
    g_setenv("LC_ALL", "de_DE.UTF-8", TRUE);
    g_setenv("TZ", "Asia/Tokyo", TRUE);
    g_autoptr(Source) source = make(fixture, &key);
    umask(before);
    g_unsetenv("LC_ALL");
    g_unsetenv("TZ");
    g_autofree char *mask = read_file(fixture, "umask");
    g_autofree char *locale = read_file(fixture, "locale");
    assert_string_equal(mask, "0022\n");
    assert_string_equal(locale, "C.UTF-8 UTC\n");
}

/* A suite that has the tool in a package of its own gets it; apt's pattern finds whatever is there. */
static void test_grower(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    g_autoptr(Source) source = make(fixture, &key);
    g_autofree char *words = read_file(fixture, "words");
    assert_non_null(strstr(words, "--include=?or(?exact-name(systemd), ?exact-name(systemd-repart))\n"));
    assert_non_null(strstr(words, "less,"));
    assert_null(strstr(words, "ca-certificates")); /* the mirror is a folder */
}

/* How apt is told that old files are fine, or not; this host's own configuration, which is read later, is left out. */
static void set_check(const Fixture *fixture, const char *value)
{
    g_autofree char *text = g_strdup_printf("Acquire::Check-Valid-Until \"%s\";\n"
                                            "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n",
                                            value);
    g_autofree char *path = ingot_workdir_file(fixture->workdir, "apt.conf");
    put(fixture, "apt.conf", text, 0644);
    g_setenv("APT_CONFIG", path, TRUE);
}

/* A frozen mirror whose files apt takes for too old: it is said what to do, before anything is installed. */
static void test_past_its_date(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    g_autoptr(GError) error = NULL;
    put(fixture, "mirror/dists/bookworm/InRelease",
        "Hash: SHA512\n\nOrigin: Debian\nDate: Sat, 01 Nov 2025 10:00:00 UTC\n"
        "Valid-Until: Sat, 08 Nov 2025 10:00:00 UTC\nSHA256:\n",
        0644);
    set_check(fixture, "true");
    g_autoptr(SourceIdentity) identity = source_identify(&fixture->context, &error);
    assert_null(error);
    assert_null(source_prepare(&fixture->context, identity, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "Check-Valid-Until"));
    assert_int_equal(runs_of(fixture), 0);
    set_check(fixture, "no");
    g_autoptr(Source) source = make(fixture, &key);
    assert_int_equal(runs_of(fixture), 1);
    g_unsetenv("APT_CONFIG");
}

/* The mirror is a folder of this host: the guest is not told of it, and what the base is made of is recorded. */
static void test_guest_list(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *key = NULL;
    g_autofree char *mirror = g_strdup_printf("deb file://%s/mirror", ingot_workdir_path(fixture->workdir));
    g_autoptr(Source) source = make(fixture, &key);
    const json_t *said = json_object_get(source->config, "source");
    const char *const made = json_string_value(json_object_get(said, "apt"));
    assert_non_null(strstr(made, mirror));
    assert_string_equal(json_string_value(json_object_get(said, "sources_list")), ""); /* as it is in the guest */
    g_autofree char *offset = g_strdup_printf("%s?offset=%d", source->path, 66 << 20);
    const char *argv[] = {"debugfs", "-R", "cat /etc/apt/sources.list", offset, NULL};
    const char *there[] = {"debugfs", "-R", "stat /etc/apt/sources.list", offset, NULL};
    g_autofree char *list = ingot_process_output(argv, NULL), *entry = ingot_process_output(there, NULL);
    assert_non_null(strstr(entry, "Type: regular"));
    assert_string_equal(list, "");
}

/* The mirror's login is nowhere in what is kept, nor in what goes to the image, and it doesn't change the key. */
static void test_login(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *mirror = g_strdup_printf("file://" LOGIN "@%s/mirror", ingot_workdir_path(fixture->workdir));
    g_autofree char *key = NULL;
    g_autofree char *plain = key_of(fixture);
    json_object_set_new(json_object_get(fixture->recipe.tree, "source"), "mirror", json_string(mirror));
    g_autoptr(Source) source = make(fixture, &key);
    assert_string_equal(key, plain);
    g_autofree char *config = ingot_json_canonical(source->config);
    assert_null(strstr(config, "s3cret"));
    const char *argv[] = {"grep", "-rqsa", "s3cret", fixture->cache, NULL};
    assert_false(ingot_process_run(argv, NULL, NULL, NULL));
    struct stat info;
    g_autofree char *record = record_path(source);
    assert_int_equal(stat(record, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_made_once),
        TEST(test_age),
        TEST(test_clock),
        TEST(test_offline),
        TEST(test_look),
        TEST(test_due),
        TEST(test_flipped_byte),
        TEST(test_login),
        TEST(test_surroundings),
        TEST(test_damaged_and_moved),
        TEST(test_not_noted),
        TEST(test_cache_of_another_user),
        TEST(test_no_cache_can_be_made),
        TEST(test_earlier_bases),
        TEST(test_keeps_nothing),
        TEST(test_moves_meanwhile),
        TEST(test_grower),
        TEST(test_bad_records),
        TEST(test_past_its_date),
        TEST(test_guest_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
