/* An upload changes nothing but what it uploads, and arrives the same whatever the host's copy looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../guest/fake.h"
#include "step/upload.h"

/* Runs a text of the host's shell in the work folder, where "in" is uploaded from and "to" to. */
static void sh(const Fake *fake, const char *text)
{
    g_autofree char *all = g_strdup_printf("set -e; umask 022; cd %s\n%s", ingot_workdir_path(fake->workdir), text);
    const char *argv[] = {"sh", "-c", all, NULL};
    int status = 0;
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    if (status != 0) {
        print_message("failed: %s\n", text);
    }
    assert_int_equal(status, 0);
}

static gboolean put(const Fake *fake, const char *from, const char *to, int mode, const char *owner, GError **error)
{
    g_autofree char *source = g_build_filename(ingot_workdir_path(fake->workdir), from, NULL);
    g_autofree char *target = g_strdup_printf("%s/%s", ingot_workdir_path(fake->workdir), to);
    /* As somebody else than root, only what is one's own can be given away. */
    g_autofree char *own = g_strdup_printf("%u:%u", geteuid(), getegid());
    UploadOptions options = {.from = source, .to = target, .mode = mode, .owner = owner == NULL ? own : owner};
    g_autoptr(Upload) upload = step_upload_new(&options, error);
    return upload != NULL && guest_put(fake->guest, upload->script, upload->tar, upload->size, from, error);
}

static void put_well(const Fake *fake, const char *from, const char *to, int mode, const char *owner)
{
    g_autoptr(GError) error = NULL;
    if (!put(fake, from, to, mode, owner, &error)) {
        print_message("%s\n", error->message);
    }
    assert_null(error);
}

static void put_badly(const Fake *fake, const char *from, const char *to, const char *owner, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_false(put(fake, from, to, -1, owner, &error));
    if (strstr(error->message, words) == NULL) {
        print_message("%s\n", error->message);
    }
    assert_non_null(strstr(error->message, words));
    g_autofree char *on = NULL;
    assert_true(guest_script(fake->guest, "echo on", &on, NULL));
    assert_string_equal(on, "on");
}

static void modes_follow_a_rule(void **state)
{
    (void)state;
    assert_int_equal(upload_mode(S_IFREG | 0644, -1), 0644);
    assert_int_equal(upload_mode(S_IFREG | 0600, -1), 0644);
    assert_int_equal(upload_mode(S_IFREG | 0700, -1), 0755);
    assert_int_equal(upload_mode(S_IFREG | 0664, -1), 0644);
    assert_int_equal(upload_mode(S_IFREG | 0650, -1), 0644);
    assert_int_equal(upload_mode(S_IFREG | 04755, -1), 04755);
    assert_int_equal(upload_mode(S_IFREG | 04700, 0640), 0640);
    assert_int_equal(upload_mode(S_IFREG | 0600, 02755), 02755);
    assert_int_equal(upload_mode(S_IFDIR | 0700, -1), 0755);
    assert_int_equal(upload_mode(S_IFDIR | 02775, -1), 0755);
    assert_int_equal(upload_mode(S_IFDIR | 0755, 0644), 0755);
    assert_int_equal(upload_mode(S_IFDIR | 0755, 0640), 0750);
    assert_int_equal(upload_mode(S_IFDIR | 0755, 04600), 0700);
}

static void what_is_there_is_not_changed(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "mkdir -p in/etc/new in/private to/etc to/private; echo hi >in/etc/motd; echo b >in/etc/new/b\n"
              "echo c >in/private/c; echo secret >to/etc/shadow; chmod 640 to/etc/shadow; chmod 710 to/private\n"
              "cp /bin/true to/etc/su; chmod 4755 to/etc/su; chmod 1777 to/etc; echo old >to/private/old\n"
              "[ $(id -u) != 0 ] || chown 1:2 to/etc to/etc/shadow to/private\n"
              "find to -mindepth 1 | sort | xargs stat -c '%n %a %u %g' >before");
    put_well(&fake, "in", "to", -1, NULL);
    sh(&fake, "cmp in/etc/motd to/etc/motd; cmp in/etc/new/b to/etc/new/b; [ \"$(cat to/etc/shadow)\" = secret ]\n"
              "rm -r to/etc/motd to/etc/new to/private/c; find to -mindepth 1 | sort | xargs stat -c '%n %a %u %g' | "
              "diff before -");
    put_well(&fake, "in", "to/", 0644, NULL);
    sh(&fake, "rm -r to/etc/motd to/etc/new to/private/c; find to -mindepth 1 | sort | xargs stat -c '%n %a %u %g' | "
              "diff before -");
}

static void links_to_folders_are_followed(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "mkdir -p in/lib/systemd to/usr/lib/systemd in2/run/app run to/var; echo unit >in/lib/systemd/app\n"
              "echo x >in2/run/app/x; ln -s usr/lib to/lib; ln -s $PWD/run to/var/run; ln -s usr to/self");
    put_well(&fake, "in", "to", -1, NULL);
    put_well(&fake, "in2", "to/var", -1, NULL);
    put_well(&fake, "in", "to/self", -1, NULL);
    put_well(&fake, "in/lib/systemd/app", "to/lib/one", -1, NULL);
    sh(&fake, "[ -L to/lib ]; [ -L to/var/run ]; [ -L to/self ]; [ \"$(cat to/usr/lib/systemd/app)\" = unit ]\n"
              "[ -f run/app/x ]; [ -f to/usr/lib/one ]; [ -f to/usr/lib/systemd/app ]");
}

static void modes_and_owners_arrive(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "mkdir -p in/sub; for f in plain run; do echo $f >in/$f; done; chmod 600 in/plain; chmod 4711 in/run\n"
              "chmod 700 in/sub in; echo deep >in/sub/deep; echo tool >tool");
    put_well(&fake, "in", "to/new", -1, NULL);
    put_well(&fake, "in", "to/given", 0640, NULL);
    put_well(&fake, "tool", "to/tool", 04755, NULL);
    put_well(&fake, "tool", "to/tool2", 02755, NULL);
    sh(&fake,
       "[ \"$(stat -c %a to to/new to/new/sub to/new/plain to/new/run to/new/sub/deep | tr '\\n' ' ')\" = '755 755 755 "
       "644 4755 644 ' ]\n"
       "[ \"$(stat -c %a to/given to/given/sub to/given/plain to/given/run | tr '\\n' ' ')\" = '750 750 640 640 ' ]\n"
       "[ \"$(stat -c %a to/tool to/tool2 | tr '\\n' ' ')\" = '4755 2755 ' ]\n"
       "[ \"$(stat -c %Y to/tool to/new/plain to/new/sub/deep | sort -u)\" = 946684800 ]");
    if (geteuid() == 0) {
        put_well(&fake, "in", "to/named", -1, "daemon:adm");
        put_well(&fake, "tool", "to/numbered", 06755, "1234:4321");
        sh(&fake, "[ \"$(stat -c %U:%G to/named to/named/sub to/named/sub/deep | sort -u)\" = daemon:adm ]\n"
                  "[ \"$(stat -c '%u:%g %a' to/numbered)\" = '1234:4321 6755' ]");
        put_badly(&fake, "in", "to/none", "nosuchuser:root", "nosuchuser");
        put_badly(&fake, "tool", "to/none", "root:nosuchgroup", "nosuchgroup");
        sh(&fake, "[ ! -e to/none ]");
    }
}

/* The tar itself is the same: neither umask nor time nor the order of a folder play a part. */
static void a_host_leaves_no_trace(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake,
       "mkdir -p one/a one/b; echo 1 >one/a/f; echo 2 >one/b/g; ln -s f one/a/l; echo 3 >one/z; chmod 755 one/z\n"
       "umask 077; mkdir -p two; echo 3 >two/z; chmod 700 two/z; mkdir -p two/b two/a; echo 2 >two/b/g; ln -s f "
       "two/a/l; echo 1 >two/a/f\n"
       "touch -d 2001-01-01 two/b/g two/a; [ $(id -u) != 0 ] || chown -R 1:2 two\n"
       "ln two/z link; ln two/z two/b/y; rm two/b/y");
    g_autoptr(GPtrArray) sums = g_ptr_array_new_with_free_func(g_free);
    static const char *const names[] = {"one", "two"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *from = g_build_filename(ingot_workdir_path(fake.workdir), names[i], NULL);
        UploadOptions options = {.from = from, .to = "/srv/x", .mode = -1};
        g_autoptr(Upload) upload = step_upload_new(&options, NULL);
        assert_non_null(upload);
        g_autofree char *bytes = g_malloc(upload->size);
        assert_int_equal(pread(upload->tar, bytes, upload->size, 0), upload->size);
        g_ptr_array_add(sums, g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)bytes, upload->size));
    }
    assert_string_equal(sums->pdata[0], sums->pdata[1]);
}

static void every_kind_of_file_arrives(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake,
       "mkdir -p in/empty in/$(printf '%0200d' 1)/$(printf '%0200d' 2)/$(printf '%0200d' 3)\n"
       "echo long >in/$(printf '%0200d' 1)/$(printf '%0200d' 2)/$(printf '%0200d' 3)/l; : >in/zero\n"
       "n=$(printf 'new\\nline \\377 end'); echo odd >\"in/$n\"; echo ä >in/umläut; echo x >\"in/ -rf *\"\n"
       "ln -s /etc/passwd in/absolute; ln -s missing in/dangling; ln -s ../x in/up; echo 1 >in/one; ln in/one in/two\n"
       "truncate -s 60M in/holes; printf end >>in/holes; truncate -s 8M in/hole; head -c 5000000 /dev/urandom "
       ">in/large");
    put_well(&fake, "in", "to", -1, NULL);
    sh(&fake, "diff -r --no-dereference in to; [ $(du -k to/holes | cut -f1) -lt 1000 ]; [ -d to/empty ]");
    put_well(&fake, "in/large", "to/", -1, NULL);
    put_well(&fake, "in/umläut", "to/umläut 2", -1, NULL);
    sh(&fake, "cmp in/large to/large; cmp in/umläut 'to/umläut 2'; [ -z \"$(ls -A to | grep ingot-new)\" ]");
}

/* What a file system says of where data is; the test's own in place of the C library's. */
static int (*lie)(off_t offset, int whence, off_t *answer);

off_t lseek(int fd, off_t offset, int whence)
{
    off_t answer;
    if (lie != NULL && (whence == SEEK_DATA || whence == SEEK_HOLE) && lie(offset, whence, &answer) != 0) {
        return answer;
    }
    return (off_t)syscall(SYS_lseek, fd, offset, whence);
}

static int can_not_tell(off_t offset, int whence, off_t *answer)
{
    (void)offset, (void)whence;
    errno = EINVAL;
    *answer = -1;
    return 1;
}

static int fails_in_the_middle(off_t offset, int whence, off_t *answer)
{
    errno = EIO;
    *answer = -1;
    return offset > 0 && whence == SEEK_DATA;
}

static int has_no_end(off_t offset, int whence, off_t *answer)
{
    (void)offset;
    errno = EIO;
    *answer = -1;
    return whence == SEEK_HOLE;
}

static int forgets_data(off_t offset, int whence, off_t *answer)
{
    (void)offset;
    errno = ENXIO;
    *answer = -1;
    return whence == SEEK_DATA;
}

/* Data is never taken for a hole, whatever the file system answers. */
static void holes_are_where_there_are_zeros(void **state)
{
    (void)state;
    int (*const lies[])(off_t, int, off_t *) = {can_not_tell, fails_in_the_middle, has_no_end, forgets_data};
    g_auto(Fake) fake = fake_new();
    sh(&fake, "echo start >in; truncate -s 8M in; printf middle >>in; truncate -s 16M in; printf end >>in\n"
              "[ $(du -k in | cut -f1) -lt 1000 ]");
    for (guint i = 0; i < G_N_ELEMENTS(lies); i++) {
        lie = lies[i];
        put_well(&fake, "in", "to/in", -1, NULL);
        lie = NULL;
        sh(&fake, "cmp in to/in; rm to/in");
    }
}

/* A link that the recipe names is what it leads to; links in a tree stay links. */
static void the_source_may_be_a_link(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "mkdir v1; echo a >v1/f; ln -s v1 site; echo one >v1.conf; ln -s v1.conf current.conf");
    put_well(&fake, "site", "to/site", -1, NULL);
    put_well(&fake, "current.conf", "to/app.conf", -1, NULL);
    put_well(&fake, "current.conf", "to/", -1, NULL);
    sh(&fake, "[ ! -L to/site ] && cmp v1/f to/site/f; [ ! -L to/app.conf ] && cmp v1.conf to/app.conf; cmp v1.conf "
              "to/current.conf");
}

/* A link in the target is replaced, in a tree as alone: what it leads to is not touched. */
static void a_file_replaces_what_has_its_name(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "mkdir -p to in; echo new >in/f; echo new >in/l; echo old >to/f; chmod 600 to/f; echo kept >victim\n"
              "ln -s $PWD/victim to/l; ln -s nowhere to/d; echo new >in/d; mkfifo to/p; echo new >in/p; ln to/f other");
    put_well(&fake, "in", "to", -1, NULL);
    sh(&fake, "[ \"$(cat victim)\" = kept ]; [ \"$(cat to/f to/l to/d to/p | sort -u)\" = new ]; [ ! -L to/l ]; [ "
              "\"$(cat other)\" = old ]\n"
              "ln -sf $PWD/victim to/l");
    put_well(&fake, "in/l", "to/l", -1, NULL);
    sh(&fake, "[ \"$(cat victim)\" = kept ] && [ ! -L to/l ] && [ \"$(cat to/l)\" = new ]");
}

static void what_cannot_be_uploaded_is_named(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "mkdir -p in to/folder; mkfifo in/pipe pipe; echo x >file; ln -s nowhere dangling; echo x >to/file; ln "
              "-s folder to/link");
    put_badly(&fake, "in", "to/x", NULL, "in/pipe: a device, socket or pipe");
    put_badly(&fake, "pipe", "to/x", NULL, "pipe: a device, socket or pipe");
    put_badly(&fake, "missing", "to/x", NULL, "No such file");
    put_badly(&fake, "dangling", "to/x", NULL, "No such file");
    put_badly(&fake, "file", "to/folder", NULL, "is a folder; a / behind it");
    put_badly(&fake, "file", "to/link", NULL, "is a folder; a / behind it");
    put_badly(&fake, "file", "to/file/x", NULL, "to/file");
    put_badly(&fake, "file", "../../../proc/nowhere/x", NULL, "/proc/nowhere");
    sh(&fake, "rm in/pipe; mkdir -p in/file to2/file; echo x >in/a; ln -s x to2/a2; mkdir to2/a; echo x >to2/a/full");
    put_badly(&fake, "in", "to2", NULL, "a: Cannot open");
    sh(&fake, "[ -z \"$(find to to2 -name '.ingot-new*')\" ]");
}

/* What a failed command leaves unread is dropped: nothing of it is taken for a command. */
static void a_refused_upload_leaves_the_session_whole(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    sh(&fake, "printf 'touch taken-for-a-command\\n%.0s' $(seq 100000) >commands");
    for (guint i = 0; i < 3; i++) {
        put_badly(&fake, "commands", "../../../proc/nowhere/x", NULL, "/proc/nowhere");
    }
    sh(&fake, "[ -z \"$(find . -name taken-for-a-command)\" ]");
    put_well(&fake, "commands", "to/commands", -1, NULL);
    sh(&fake, "cmp commands to/commands");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_follow_a_rule),
        cmocka_unit_test(what_is_there_is_not_changed),
        cmocka_unit_test(links_to_folders_are_followed),
        cmocka_unit_test(modes_and_owners_arrive),
        cmocka_unit_test(a_host_leaves_no_trace),
        cmocka_unit_test(every_kind_of_file_arrives),
        cmocka_unit_test(holes_are_where_there_are_zeros),
        cmocka_unit_test(the_source_may_be_a_link),
        cmocka_unit_test(a_file_replaces_what_has_its_name),
        cmocka_unit_test(what_cannot_be_uploaded_is_named),
        cmocka_unit_test(a_refused_upload_leaves_the_session_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
