/* How root gets in: the credential and the seed hold the key, in the form that guests read; a key is made well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "guest/guest.h"
#include "machine/entry.h"
#include "machine/overlay.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ingot-build"

/* What the credential says. Free it. */
static char *rules_of_credential(void)
{
    static const char head[] = "io.systemd.credential.binary:tmpfiles.extra=";
    g_autofree char *text = entry_credential(KEY);
    assert_true(g_str_has_prefix(text, head));
    assert_null(strchr(text, ',')); /* which would end QEMU's option */
    gsize size;
    g_autofree guchar *lines = g_base64_decode(text + strlen(head), &size);
    return g_strndup((const char *)lines, size);
}

/* Root's own keys may be in either file: nothing is written over (f+, or w without +). */
static void the_credential_adds_the_key(void **state)
{
    (void)state;
    g_autofree char *rules = rules_of_credential(),
                    *key = g_base64_encode((const guchar *)"\n" KEY "\n", strlen(KEY) + 2);
    g_autofree char *added = g_strdup_printf("\nw+~ /root/.ssh/authorized_keys2 - - - - %s\n", key);
    assert_non_null(strstr(rules, added));
    assert_non_null(strstr(rules, "\nf /root/.ssh/authorized_keys2 :0600 "));
    assert_non_null(strstr(rules, "\nf~ /root/.ssh/authorized_keys :0600 "));
    assert_null(strstr(rules, "f+"));
}

static void expect_file(const char *root, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(root, "root/.ssh", name, NULL), *found = NULL;
    assert_true(g_file_get_contents(path, &found, NULL, NULL));
    assert_string_equal(found, text);
}

/* As the guest's systemd does it, boot by boot. */
static void roots_own_keys_stay(void **state)
{
    (void)state;
    g_autofree char *program = g_find_program_in_path("systemd-tmpfiles"), *rules = rules_of_credential();
    if (program == NULL || geteuid() != 0) {
        skip();
    }
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    const char *root = ingot_workdir_path(workdir);
    g_autofree char *file = ingot_workdir_file(workdir, "rules.conf"), *option = g_strconcat("--root=", root, NULL);
    g_autofree char *folder = ingot_workdir_file(workdir, "root/.ssh"), *etc = ingot_workdir_file(workdir, "etc");
    g_autofree char *users = g_build_filename(etc, "passwd", NULL), *groups = g_build_filename(etc, "group", NULL);
    g_autofree char *own = g_build_filename(folder, "authorized_keys2", NULL);
    const char *const argv[] = {program, option, "--create", file, NULL};
    assert_true(ingot_file_make_folder(folder, NULL) && ingot_file_make_folder(etc, NULL));
    assert_true(g_file_set_contents(users, "root:x:0:0::/root:/bin/sh\n", -1, NULL));
    assert_true(g_file_set_contents(groups, "root:x:0:\n", -1, NULL));
    assert_true(g_file_set_contents(file, rules, -1, NULL));
    assert_true(g_file_set_contents(own, "ssh-rsa AAAA me", -1, NULL));
    for (guint boots = 0; boots < 2; boots++) {
        g_autofree char *words = ingot_process_output(argv, NULL);
        assert_non_null(words);
        expect_file(root, "authorized_keys2",
                    boots == 0 ? "ssh-rsa AAAA me\n" KEY "\n" : "ssh-rsa AAAA me\n" KEY "\n\n" KEY "\n");
        expect_file(root, "authorized_keys", "\n" KEY "\n");
    }
    assert_int_equal(g_remove(own), 0);
    g_autofree char *words = ingot_process_output(argv, NULL);
    expect_file(root, "authorized_keys2", "\n" KEY "\n");
}

static char *read_entry(const char *path, const char *name)
{
    struct archive *iso = archive_read_new();
    struct archive_entry *entry;
    archive_read_support_format_iso9660(iso);
    assert_int_equal(archive_read_open_filename(iso, path, 1 << 16), ARCHIVE_OK);
    char *text = NULL;
    while (text == NULL && archive_read_next_header(iso, &entry) == ARCHIVE_OK) {
        if (strcmp(archive_entry_pathname(entry), name) == 0) {
            text = g_malloc0((gsize)archive_entry_size(entry) + 1);
            archive_read_data(iso, text, (size_t)archive_entry_size(entry));
        }
    }
    archive_read_free(iso);
    return text;
}

static void the_seed_holds_the_key(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "seed.iso");
    assert_true(entry_write_seed(path, KEY, "web", NULL));
    g_autofree char *user = read_entry(path, "user-data");
    g_autofree char *meta = read_entry(path, "meta-data");
    assert_true(g_str_has_prefix(user, "#cloud-config\n"));
    assert_non_null(strstr(user, KEY));
    assert_true(g_str_has_prefix(meta, "instance-id: web-"));
    /* Nothing that would stay in an image: no host name, no locked password, no word on sshd's passwords. */
    assert_null(strstr(meta, "hostname"));
    assert_non_null(strstr(user, "preserve_hostname: true"));
    assert_non_null(strstr(user, "lock_passwd: false"));
    assert_null(strstr(user, "pwauth"));
    g_autoptr(GBytes) bytes = ingot_file_read(path, 16 << 20, NULL);
    /* cloud-init takes the volume's id in either case; ISO 9660 has capitals alone. */
    assert_memory_equal((const char *)g_bytes_get_data(bytes, NULL) + 0x8028, "CIDATA ", 7);
}

static void a_key_is_its_owner_s_alone(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autoptr(GuestKey) key = guest_key_new(ingot_workdir_path(workdir), NULL);
    struct stat st;
    assert_non_null(key);
    assert_int_equal(stat(key->private_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(g_str_has_prefix(key->public_line, "ssh-ed25519 AAAA"));
    /* The public half that ssh-keygen finds in the private file is the one that the guest is given. */
    const char *const argv[] = {"ssh-keygen", "-y", "-f", key->private_path, NULL};
    g_autofree char *found = ingot_process_output(argv, NULL);
    g_auto(GStrv) ours = g_strsplit(key->public_line, " ", 3), theirs = g_strsplit(found, " ", 3);
    assert_string_equal(ours[1], theirs[1]);
}

static void an_overlay_leaves_its_base_alone(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *base = ingot_workdir_file(workdir, "base.raw");
    g_autofree char *top = ingot_workdir_file(workdir, "top.qcow2");
    g_autofree char *zeros = g_malloc0(1 << 20);
    assert_true(ingot_file_replace(base, zeros, 1 << 20, 0444, NULL));
    assert_true(overlay_create(top, base, "raw", 4 << 20, NULL));
    guint64 size;
    assert_true(overlay_size(top, "qcow2", &size, NULL));
    assert_int_equal(size, 4 << 20);
    assert_true(overlay_size(base, "raw", &size, NULL));
    assert_int_equal(size, 1 << 20);
    g_autoptr(GError) error = NULL;
    assert_false(overlay_size("/nowhere", "raw", &size, &error));
    assert_non_null(strstr(error->message, "/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_credential_adds_the_key),      cmocka_unit_test(roots_own_keys_stay),
        cmocka_unit_test(the_seed_holds_the_key),           cmocka_unit_test(a_key_is_its_owner_s_alone),
        cmocka_unit_test(an_overlay_leaves_its_base_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
