/* What comes out of a guest lands in its target and nowhere else, whatever the guest sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>

#include "fake.h"
#include "guest/download.h"

/* --- from a guest that means well --- */

static void prepare(const Fake *fake, const char *script)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *all = g_strdup_printf("set -e; cd %s; %s", fake->place, script);
    if (!guest_script(fake->guest, all, NULL, &error)) {
        print_message("%s\n", error->message);
    }
    assert_null(error);
}

/* Runs a line of the host's shell in the work folder. */
static void check(const Fake *fake, const char *line)
{
    g_autofree char *all = g_strdup_printf("cd %s && %s", ingot_workdir_path(fake->workdir), line);
    const char *argv[] = {"sh", "-c", all, NULL};
    g_autoptr(GError) error = NULL;
    int status = 0;
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    if (status != 0) {
        print_message("failed: %s\n", line);
    }
    assert_int_equal(status, 0);
}

static void keep_line(const char *line, gpointer user)
{
    g_string_append_printf(user, "%s\n", line);
}

static char *download(const Fake *fake, const char *from, const char *to, GError **error)
{
    GString *lines = g_string_new(NULL);
    g_autofree char *source = *from == '/' ? g_strdup(from) : g_build_filename(fake->place, from, NULL);
    g_autofree char *target = g_strdup_printf("%s/%s", ingot_workdir_path(fake->workdir), to);
    guest_download(fake->guest, source, target, NULL, keep_line, lines, error);
    return g_string_free(lines, FALSE);
}

static void download_well(const Fake *fake, const char *from, const char *to)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *lines = download(fake, from, to, &error);
    if (error != NULL) {
        print_message("%s\n", error->message);
    }
    assert_null(error);
}

static gint by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As "out/a out/sub/b", in the order of their names, without the work folder. Free it. */
static char *written_by(const Fake *fake, const char *from, const char *to)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) written = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *source = g_build_filename(fake->place, from, NULL);
    g_autofree char *target = g_strdup_printf("%s/%s", ingot_workdir_path(fake->workdir), to);
    GString *all = g_string_new(NULL);
    guest_download(fake->guest, source, target, written, NULL, NULL, &error);
    assert_null(error);
    g_ptr_array_sort(written, by_text);
    for (guint i = 0; i < written->len; i++) {
        const char *path = g_ptr_array_index(written, i);
        assert_true(g_str_has_prefix(path, ingot_workdir_path(fake->workdir)));
        g_string_append_printf(all, "%s%s", i == 0 ? "" : " ", path + strlen(ingot_workdir_path(fake->workdir)) + 1);
    }
    return g_string_free(all, FALSE);
}

/* Whatever else lies in the target, before or since. */
static void what_was_written_is_told(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    prepare(&fake, "mkdir -p f/sub f/empty; echo a >f/a; ln f/a f/sub/b; ln -s a f/link; mkfifo f/pipe");
    check(&fake, "mkdir -p out/sub && echo own >out/own && echo own >out/sub/own");
    g_autofree char *folder = written_by(&fake, "f", "./out//");
    assert_string_equal(folder, "out/a out/link out/sub/b");
    g_autofree char *file = written_by(&fake, "f/a", "out/./sub/../one"), *into = written_by(&fake, "f/a", "out/");
    assert_string_equal(file, "out/one");
    assert_string_equal(into, "out/a");
}

static void a_file_keeps_its_bytes_and_mode(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    prepare(&fake, "printf 'a\\000b\\n' >small; chmod 4640 small; : >empty; head -c 9000000 /dev/urandom >large; "
                   "ln -s small link; truncate -s 50M holes; printf end >>holes");
    download_well(&fake, "small", "out/small");
    download_well(&fake, "link", "out/");
    download_well(&fake, "empty", "out/empty");
    download_well(&fake, "large", "out/large");
    download_well(&fake, "holes", "out/holes");
    download_well(&fake, "/proc/version", "out/version");
    check(&fake, "cmp place/small out/small && [ \"$(stat -c %a out/small)\" = 640 ]");
    check(&fake, "cmp place/small out/link && [ ! -L out/link ]");
    check(&fake, "[ -f out/empty ] && [ ! -s out/empty ] && cmp place/large out/large");
    check(&fake, "cmp place/holes out/holes && [ \"$(du -k out/holes | cut -f1)\" -lt 1000 ]");
    check(&fake, "cmp /proc/version out/version && [ -z \"$(ls -A out | grep ingot)\" ]");
}

static void a_folders_content_goes_into_the_target(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    prepare(&fake,
            "mkdir -p f/sub f/closed; echo a >f/a; ln f/a f/sub/b; ln -s /etc/passwd f/absolute; ln -s ../a f/sub/up; "
            "mkfifo f/pipe; chmod 750 f/sub; echo x >f/closed/x; chmod 555 f/closed; "
            "n=$(printf 'new\\nline \\377 end'); echo odd >\"f/$n\"; truncate -s 50M f/holes; "
            "mkdir -p f/$(printf '%0200d' 1)/$(printf '%0200d' 2); echo long >f/$(printf '%0200d' 1)/$(printf '%0200d' "
            "2)/l");
    /* The host's own path has a link in it, and the target is there already. */
    check(
        &fake,
        "mkdir real && ln -s real linked && mkdir -m 711 real/out && echo old >real/out/a && echo old >real/out/keep");
    g_autoptr(GError) error = NULL;
    g_autofree char *lines = download(&fake, "f", "linked/out", &error);
    assert_null(error);
    assert_non_null(strstr(lines, "pipe: a device, socket or pipe is left out"));
    check(&fake, "rm place/f/pipe && rm real/out/keep && diff -r --no-dereference place/f real/out");
    check(&fake, "[ real/out/a -ef real/out/sub/b ] && [ \"$(readlink real/out/absolute)\" = /etc/passwd ]");
    check(&fake, "[ \"$(stat -c %a real/out)\" = 711 ] && [ \"$(stat -c %a real/out/sub)\" = 750 ]");
    check(&fake, "[ \"$(du -k real/out/holes | cut -f1)\" -lt 1000 ]");
    /* Once more over it. */
    download_well(&fake, "f", "linked/out");
}

/* A tar that packs what is there, says something and ends with a status; another's version is not GNU's. */
static void place_tar(const Fake *fake, const char *version, int status)
{
    g_autofree char *path = g_build_filename(ingot_workdir_path(fake->workdir), "bin", "tar", NULL);
    g_autofree char *text =
        g_strdup_printf("#!/bin/sh\n[ \"$1\" != --version ] || { echo '%s'; exit 0; }\n"
                        "PATH=/usr/bin:/bin; tar \"$@\"; echo 'tar: ./log: file changed as we read it' >&2\n"
                        "exit %d\n",
                        version, status);
    assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
}

/* A folder of logs is being written to: what came is good, and it is said. */
static void what_changes_meanwhile_comes_with_a_word(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        int status;
        gboolean good;
    } cases[] = {{"tar (GNU tar) 1.34", 1, TRUE},
                 {"tar (GNU tar) 1.34", 0, TRUE},
                 {"tar (GNU tar) 1.34", 2, FALSE},
                 {"bsdtar 3.6.2 - libarchive 3.6.2", 1, FALSE}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fake) fake = fake_new();
        prepare(&fake, "mkdir f; echo a >f/log");
        place_tar(&fake, cases[i].version, cases[i].status);
        g_autoptr(GError) error = NULL;
        g_autofree char *lines = download(&fake, "f", "out", &error);
        assert_int_equal(error == NULL, cases[i].good);
        if (cases[i].good) {
            check(&fake, "cmp place/f/log out/log");
            assert_int_equal(strstr(lines, "file changed as we read it") != NULL, cases[i].status == 1);
        } else {
            assert_non_null(strstr(error->message, "file changed as we read it"));
            check(&fake, "[ ! -e out/log ]");
        }
    }
}

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    prepare(&fake, "mkfifo pipe; ln -s nowhere dangling; mkdir f; echo x >f/x");
    static const struct {
        const char *from, *to, *words;
    } cases[] = {{"missing", "out", "is not there"},
                 {"dangling", "out", "is not there"},
                 {"pipe", "out", "neither a file nor a folder"},
                 {"/dev/zero", "out", "neither a file nor a folder"},
                 {"f/x", "place", "is a folder"}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *lines = download(&fake, cases[i].from, cases[i].to, &error);
        assert_non_null(error);
        assert_non_null(strstr(error->message, cases[i].words));
    }
    check(&fake, "[ ! -e out ]");
}

/* --- from one that does not --- */

typedef struct {
    const char *name;
    mode_t type;
    const char *target; /* of a link */
    gboolean hard;
    const char *content;
} Entry;

static int make_tar(const Entry *entries, guint count, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "tar", NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct archive *tar = archive_write_new();
    archive_write_set_format_pax(tar);
    assert_int_equal(archive_write_open_fd(tar, fd), ARCHIVE_OK);
    for (guint i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        gsize size = entries[i].content == NULL ? 0 : strlen(entries[i].content);
        archive_entry_set_pathname(entry, entries[i].name);
        archive_entry_set_filetype(entry, entries[i].type);
        archive_entry_set_perm(entry, 06755);
        archive_entry_set_size(entry, (la_int64_t)size);
        if (entries[i].target != NULL) {
            (entries[i].hard ? archive_entry_set_hardlink : archive_entry_set_symlink)(entry, entries[i].target);
        }
        assert_int_equal(archive_write_header(tar, entry), ARCHIVE_OK);
        if (size > 0) {
            archive_write_data(tar, entries[i].content, size);
        }
        archive_entry_free(entry);
    }
    archive_write_free(tar);
    return fd;
}

static void nothing_leaves_the_target(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *victim = ingot_workdir_file(workdir, "victim");
    g_autofree char *out = ingot_workdir_file(workdir, "out");
    const struct {
        Entry entries[3];
        const char *words;
    } cases[] = {
        {{{"../victim", AE_IFREG, .content = "bad"}}, "leads out"},
        {{{"a/../../victim", AE_IFREG, .content = "bad"}}, "leads out"},
        {{{victim, AE_IFREG, .content = "bad"}}, "absolute"},
        {{{"x", AE_IFREG, victim, TRUE, "bad"}}, "absolute"},
        {{{"x", AE_IFREG, victim, TRUE}, {"x", AE_IFREG, .content = "bad"}}, "absolute"},
        {{{"x", AE_IFREG, "../victim", TRUE, "bad"}}, "leads out"},
        {{{"l", AE_IFLNK, ".."}, {"l/victim", AE_IFREG, .content = "bad"}}, "through a link"},
        {{{"l", AE_IFLNK, ".."}, {"x", AE_IFREG, "l/victim", TRUE, "bad"}}, "through a link"},
        {{{"l", AE_IFLNK, ".."}, {"l/d", AE_IFDIR}}, "through a link"},
        {{{"l", AE_IFLNK, "../victim"}, {"x", AE_IFREG, "l", TRUE}, {"x", AE_IFREG, .content = "good"}}, NULL},
        {{{"l", AE_IFLNK, "../victim"}, {"l", AE_IFREG, .content = "good"}}, NULL},
        {{{"l", AE_IFLNK, ".."}, {"l", AE_IFDIR}, {"l/victim", AE_IFREG, .content = "good"}}, NULL},
        {{{"d", AE_IFDIR}, {"d", AE_IFLNK, ".."}}, "Is a directory"},
        {{{"x", AE_IFREG, "missing", TRUE}}, "hard link"},
        {{{"x", AE_IFREG, ".", TRUE}}, "hard link"},
        {{{"dev", AE_IFCHR}}, NULL},
        {{{"./", AE_IFDIR}, {".", AE_IFREG, .content = "bad"}}, NULL},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_true(g_file_set_contents(victim, "untouched", -1, NULL));
        guint count = 0;
        while (count < G_N_ELEMENTS(cases[i].entries) && cases[i].entries[count].name != NULL) {
            count++;
        }
        g_auto(IngotFd) fd = make_tar(cases[i].entries, count, ingot_workdir_path(workdir));
        g_autoptr(GError) error = NULL;
        gboolean ok = extract_tar(fd, "tar", out, NULL, NULL, NULL, &error);
        g_autofree char *content = NULL;
        assert_true(g_file_get_contents(victim, &content, NULL, NULL));
        assert_string_equal(content, "untouched");
        if (ok != (cases[i].words == NULL) || (!ok && strstr(error->message, cases[i].words) == NULL)) {
            print_message("case %u: %s\n", i, ok ? "no error" : error->message);
            fail();
        }
        assert_true(ingot_file_remove_tree(out, NULL));
    }
    struct stat st;
    Entry good = {"x", AE_IFREG, .content = "good"};
    g_auto(IngotFd) fd = make_tar(&good, 1, ingot_workdir_path(workdir));
    g_autofree char *made = g_build_filename(out, "x", NULL);
    assert_true(extract_tar(fd, "tar", out, NULL, NULL, NULL, NULL));
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void a_tar_that_is_cut_off_is_an_error(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *out = ingot_workdir_file(workdir, "out");
    g_autofree char *content = g_strnfill(5000, 'x');
    Entry entry = {"x", AE_IFREG, .content = content};
    static const off_t sizes[] = {100, 512, 700, 3000};
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_auto(IngotFd) fd = make_tar(&entry, 1, ingot_workdir_path(workdir));
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        g_autoptr(GError) error = NULL;
        assert_false(extract_tar(fd, "tar", out, NULL, NULL, NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    }
}

/* The limit of a copy is for a guest that gives nothing: a slow one may take as long as it likes. */
static void a_guest_that_stops_sending_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *cat, *words;
    } cases[] = {{"for n in 1 2 3 4 5; do printf $n; sleep 0.4; done", NULL},
                 {"printf 12; sleep 20", "has given nothing for 1 s"}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Fake) fake;
        g_autoptr(GError) error = NULL;
        fake_open(&fake, guest_loop(), 1, &error);
        assert_null(error);
        prepare(&fake, "echo x >file");
        g_autofree char *path = g_build_filename(ingot_workdir_path(fake.workdir), "bin", "cat", NULL);
        g_autofree char *text = g_strdup_printf("#!/bin/sh\n%s\n", cases[i].cat);
        assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0755, NULL));
        gint64 began = g_get_monotonic_time();
        g_autofree char *lines = download(&fake, "file", "out", &error);
        assert_true(g_get_monotonic_time() - began < 15 * G_USEC_PER_SEC);
        check(&fake, cases[i].words == NULL ? "[ \"$(/bin/cat out)\" = 12345 ]" : "[ ! -e out ]");
        assert_true((error == NULL) == (cases[i].words == NULL));
        assert_true(error == NULL || strstr(error->message, cases[i].words) != NULL);
    }
}

/* Straight to what reads a guest's answer, in pieces of every size. */
static void an_answer_may_be_anything(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *words;
    } cases[] = {{"file 7777777\n", "makes no sense"},
                 {"file x\n", "makes no sense"},
                 {"file -644\n", "makes no sense"},
                 {"folder", "makes no sense"},
                 {"nonsense\n", "makes no sense"},
                 {"", "makes no sense"},
                 {"0123456789012345678901234567890123456789", "makes no sense"},
                 {"folder\nhello, world", "not a tar"},
                 {"file 644\nhello, world", NULL}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (gsize piece = 1; piece < 20; piece++) {
            g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
            g_autofree char *out = ingot_workdir_file(workdir, "out");
            g_autoptr(Download) one = download_new("/from", out);
            g_autoptr(GError) error = NULL;
            gsize size = strlen(cases[i].answer);
            gboolean ok = TRUE;
            for (gsize at = 0; ok && at < size; at += piece) {
                ok = download_sink(cases[i].answer + at, MIN(piece, size - at), one, &error);
            }
            ok = ok && download_finish(one, NULL, NULL, NULL, &error);
            assert_true(ok == (cases[i].words == NULL));
            assert_true(ok || strstr(error->message, cases[i].words) != NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_keeps_its_bytes_and_mode),
        cmocka_unit_test(what_was_written_is_told),
        cmocka_unit_test(a_folders_content_goes_into_the_target),
        cmocka_unit_test(what_changes_meanwhile_comes_with_a_word),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(nothing_leaves_the_target),
        cmocka_unit_test(a_tar_that_is_cut_off_is_an_error),
        cmocka_unit_test(an_answer_may_be_anything),
        cmocka_unit_test(a_guest_that_stops_sending_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
