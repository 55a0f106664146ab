/* A whole seal of a small disk, without a machine: an ext4 behind an EFI and a swap partition, written in place. */
#include "seal/seal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/process.h"
#include "guest/entry.h"
#include "machine/entry.h"
#include "seal/conditions.h"
#include "seal/keyline.h"
#include "system/tree.h"

#define MIB (1u << 20)
#define ROOT (16 * MIB) /* where the file system starts: layout() below */
#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOURS build@ingot.invalid"
#define EARLIER "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEARLIER build@ingot.invalid"
#define OTHER "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAITHEIRS root@ingot-builder"
#define SECRET "swordfish-7d1f0c"

typedef struct {
    IngotWorkdir *workdir;
    char *root; /* the tree that becomes the disk */
    char *disk, *out;
    SealReport report;
} Fixture;

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->root = ingot_workdir_file(fixture->workdir, "root");
    fixture->disk = ingot_workdir_file(fixture->workdir, "disk.raw");
    fixture->out = ingot_workdir_file(fixture->workdir, "out");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    seal_report_clear(&fixture->report);
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->root);
    g_free(fixture->disk);
    g_free(fixture->out);
    g_free(fixture);
    return 0;
}

static void shell(const Fixture *fixture, const char *script)
{
    g_autofree char *text = g_strconcat("set -e; export MTOOLS_SKIP_CHECK=1; cd \"$0\"\n", script, NULL);
    const char *const argv[] = {"sh", "-c", text, ingot_workdir_path(fixture->workdir), NULL};
    g_autoptr(GError) error = NULL;
    if (!ingot_process_run(argv, NULL, NULL, &error)) {
        print_error("%s\n", error->message);
        fail();
    }
}

static void add(const Fixture *fixture, const char *path, const char *text)
{
    g_autofree char *file = g_strconcat(fixture->root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(file);
    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_true(g_file_set_contents(file, text, -1, NULL));
}

/* What every system here has. */
static void add_system(const Fixture *fixture)
{
    add(fixture, "/etc/os-release", "ID=debian\nVERSION_ID=12\n");
    add(fixture, "/etc/fstab",
        "UUID=1 / ext4 defaults 0 1\nUUID=2 /boot/efi vfat umask=0077 0 0\n/swapfile none swap sw 0 0\n");
    add(fixture, "/boot/efi/hidden", "by the mount");
    add(fixture, "/etc/systemd/system/x.service", "");
    add(fixture, "/usr/sbin/sshd", "");
    add(fixture, "/var/lib/dpkg/status",
        "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\nPackage: b\nStatus: deinstall ok "
        "config-files\nVersion: 1\nArchitecture: all\n");
}

/* MiB: EFI [1, 9), swap [9, 16), the root's file system [16, 63). */
static void layout(const Fixture *fixture)
{
    shell(fixture, "truncate -s 64M disk.raw\n"
                   "printf 'label: gpt\\nstart=2048,size=16384,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\\n"
                   "start=18432,size=14336,type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F\\n"
                   "start=32768,size=96256,type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\\n' | sfdisk -q disk.raw\n"
                   "mformat -i disk.raw@@1M -T 16384 ::; mmd -i disk.raw@@1M ::/EFI ::/notes\n"
                   "echo x >note; mcopy -i disk.raw@@1M note ::/notes/n\n"
                   "truncate -s 7M swap; mkswap -q -U 11111111-2222-3333-4444-555555555555 -L memory swap\n"
                   "printf " SECRET " | dd of=swap bs=4096 seek=7 conv=notrunc status=none\n"
                   "dd if=swap of=disk.raw bs=1M seek=9 conv=notrunc,sparse status=none\n"
                   "mke2fs -q -t ext4 -E offset=16777216 -d root disk.raw 47M\n");
}

/* The sealed files, as out/; and whether the file system is whole. */
static void unpack(const Fixture *fixture)
{
    shell(fixture, "e2fsck -fn \"disk.raw?offset=16777216\" >/dev/null 2>&1\n"
                   "mkdir -p out; debugfs -R 'rdump / out' \"disk.raw?offset=16777216\" >/dev/null 2>&1\n");
}

static gboolean sealed(Fixture *fixture, const char *rules, GError **error)
{
    g_autoptr(json_t) tree = json_loads(rules, 0, NULL);
    SealOptions options = {
        .disk = fixture->disk,
        .format = "raw",
        .rules = tree,
        .key = KEY,
        .traces = entry_files,
        .workdir = ingot_workdir_path(fixture->workdir),
        .cache = "/nowhere",
    };
    return seal_disk(&options, &fixture->report, error);
}

static void seal(Fixture *fixture, const char *rules)
{
    g_autoptr(GError) error = NULL;
    layout(fixture);
    if (!sealed(fixture, rules, &error)) {
        print_error("%s\n", error->message);
        fail();
    }
    unpack(fixture);
}

static gboolean left(const Fixture *fixture, const char *path)
{
    g_autofree char *file = g_strconcat(fixture->out, path, NULL);
    return g_file_test(file, G_FILE_TEST_EXISTS) || g_file_test(file, G_FILE_TEST_IS_SYMLINK);
}

static char *text_of(const Fixture *fixture, const char *path)
{
    g_autofree char *file = g_strconcat(fixture->out, path, NULL);
    char *text = NULL;
    assert_true(g_file_get_contents(file, &text, NULL, NULL));
    return text;
}

static gboolean disk_holds(const Fixture *fixture, const char *text)
{
    g_autofree char *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(fixture->disk, &bytes, &size, NULL));
    return memmem(bytes, size, text, strlen(text)) != NULL;
}

/* --- patterns --- */

static void patterns_mean_what_they_say(void **state)
{
    Fixture *fixture = *state;
    static const char *const gone[] = {"/srv/secrets", "/srv/a", "/srv/.hidden", "/srv/linked", "/opt/real/below"};
    static const char *const stay[] = {"/srv/kept", "/srv/.kept", "/opt/target", "/opt/real/other"};
    add_system(fixture);
    add(fixture, "/srv/secrets/deep/key", "");
    add(fixture, "/srv/a", "");
    add(fixture, "/srv/.hidden", "");
    add(fixture, "/srv/kept", "");
    add(fixture, "/srv/.kept", "");
    add(fixture, "/opt/target", "");
    add(fixture, "/opt/real/below", "");
    add(fixture, "/opt/real/other", "");
    shell(fixture, "ln -s /opt/target root/srv/linked; ln -s real root/opt/link; ln -s nowhere root/opt/dangling\n");
    seal(fixture, "{\"remove\": [\"/srv/secrets/\", \"/srv//a\", \"/srv/./.h*\", \"/srv/link[ed]*\", \"/opt/l*/below\","
                  "\"/srv/nothing*\", \"/opt/dangling/x\", \"/srv/k/\"]}");
    for (guint i = 0; i < G_N_ELEMENTS(gone); i++) {
        assert_false(left(fixture, gone[i]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(stay); i++) {
        assert_true(left(fixture, stay[i]));
    }
    const GPtrArray *unmatched = fixture->report.unmatched;
    assert_int_equal(unmatched->len, 3);
    assert_string_equal(g_ptr_array_index(unmatched, 0), "/srv/nothing*");
    assert_int_equal(json_array_size(fixture->report.packages), 1);
}

static void climbing_is_an_error(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    add_system(fixture);
    layout(fixture);
    assert_false(sealed(fixture, "{\"remove\": [\"/srv/../etc\"]}", &error));
    assert_non_null(strstr(error->message, "'..'"));
}

/* The way that is in place knows that it cannot, and asks for the appliance, which has no place to be kept here. */
static void the_efi_partition_is_not_passed_over(void **state)
{
    Fixture *fixture = *state;
    static const char *const patterns[] = {"/boot/efi/notes", "/boot/efi/n*/n", "/boot", "/efi/notes/n"};
    add_system(fixture);
    shell(fixture, "ln -s boot/efi root/efi\n");
    layout(fixture);
    for (guint i = 0; i < G_N_ELEMENTS(patterns); i++) {
        SystemTreeOptions options = {.disk = fixture->disk,
                                     .format = "raw",
                                     .workdir = ingot_workdir_path(fixture->workdir),
                                     .cache = "/nowhere"};
        g_autoptr(SystemTree) tree = system_tree_open(&options, NULL);
        assert_non_null(tree);
        g_autoptr(GPtrArray) found = system_tree_match(tree, patterns[i], NULL);
        assert_int_equal(found->len, 1);
        assert_false(system_tree_reaches(tree, g_ptr_array_index(found, 0)));
        g_autoptr(GPtrArray) under = system_tree_match(tree, "/boot/efi/hidden", NULL);
        assert_int_equal(under->len, 0);
        assert_true(system_tree_reaches(tree, "/etc/fstab") && system_tree_reaches(tree, "/nothing/there"));
    }
}

/* --- the table --- */

static void cloud_init_forgets_the_build_alone(void **state)
{
    Fixture *fixture = *state;
    static const char *const gone[] = {"/var/lib/cloud/instances", "/var/lib/cloud/instance", "/var/lib/cloud/sem",
                                       "/etc/netplan/50-cloud-init.yaml", "/etc/ssh/sshd_config.d/50-cloud-init.conf"};
    static const char *const stay[] = {"/var/lib/cloud/scripts/per-boot/10-site.sh",
                                       "/var/lib/cloud/seed/nocloud/meta-data", "/etc/netplan/60-site.yaml"};
    add_system(fixture);
    for (guint i = 0; i < G_N_ELEMENTS(stay); i++) {
        add(fixture, stay[i], "");
    }
    add(fixture, "/usr/bin/cloud-init", "");
    add(fixture, "/var/lib/cloud/instances/i-1/sem/x", "");
    add(fixture, "/var/lib/cloud/sem/config_x", "");
    add(fixture, "/etc/netplan/50-cloud-init.yaml", "");
    add(fixture, "/etc/ssh/sshd_config.d/50-cloud-init.conf", "");
    shell(fixture, "ln -s instances/i-1 root/var/lib/cloud/instance\n");
    seal(fixture, "{\"keep\": [\"leases\"]}");
    for (guint i = 0; i < G_N_ELEMENTS(gone); i++) {
        assert_false(left(fixture, gone[i]));
    }
    for (guint i = 0; i < G_N_ELEMENTS(stay); i++) {
        assert_true(left(fixture, stay[i]));
    }
}

static void what_cloud_init_did_not_write_stays(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/etc/netplan/50-cloud-init.yaml", "of the site");
    seal(fixture, "{}");
    assert_true(left(fixture, "/etc/netplan/50-cloud-init.yaml"));
}

/* Whether cloud-init's network goes, where `instance` has run with the files of `script` on the disk. */
static gboolean network_goes(Fixture *fixture, const char *instance, const char *script)
{
    g_autofree char *path = g_strdup_printf("/var/lib/cloud/instances/%s/sem/x", instance);
    g_autofree char *all = g_strconcat("mkdir -p root/etc/cloud root/usr/bin root/etc/systemd/system\n", script, NULL);
    shell(fixture, "rm -rf root out\n");
    add_system(fixture);
    add(fixture, path, "");
    add(fixture, "/etc/netplan/50-cloud-init.yaml", "");
    shell(fixture, all);
    seal_report_clear(&fixture->report);
    seal(fixture, "{}");
    assert_false(left(fixture, "/var/lib/cloud/instances"));
    return !left(fixture, "/etc/netplan/50-cloud-init.yaml");
}

/* What nothing would make again is kept, but not what the build's own boot has made. */
static void settings_of_a_disabled_cloud_init_stay(void **state)
{
    static const char disabled[] = "touch root/usr/bin/cloud-init root/etc/cloud/cloud-init.disabled\n";
    static const char masked[] = "touch root/usr/bin/cloud-init\n"
                                 "ln -s /dev/null root/etc/systemd/system/cloud-init-local.service\n";
    static const char own[] = "touch root/usr/bin/cloud-init\n"
                              "mkdir root/etc/cloud/cloud.cfg.d\n"
                              "echo 'network: {config: disabled}' >root/etc/cloud/cloud.cfg.d/99-own.cfg\n";
    static const char changed[] = "touch root/usr/bin/cloud-init\n"
                                  "echo '[Unit]' >root/etc/systemd/system/cloud-init-local.service\n";
    assert_false(network_goes(*state, "i-1", disabled));
    assert_false(network_goes(*state, "i-1", masked));
    assert_false(network_goes(*state, "i-1", "true\n")); /* it was removed */
    assert_true(network_goes(*state, "i-1", changed));
    assert_true(network_goes(*state, ENTRY_BUILD "-1a2b3c4d", disabled));
    assert_false(network_goes(*state, ENTRY_BUILD "-1a2b3c4d", own));
    assert_true(condition_forbids_network("users: []\nnetwork:\n  config: disabled\n"));
    assert_true(condition_forbids_network("network: {\"config\": \"disabled\"}\n"));
    assert_false(condition_forbids_network("# network: {config: disabled}\nnetwork:\n  version: 2\n"));
}

static void the_builds_name_server_goes(void **state)
{
    Fixture *fixture = *state;
    struct stat st;
    g_autofree char *file = g_strconcat(fixture->out, "/etc/resolv.conf", NULL);
    add_system(fixture);
    add(fixture, "/etc/resolv.conf", "# by dhclient\nsearch lan\nnameserver 10.0.2.3\nnameserver fec0::3%eth0\n");
    seal(fixture, "{}");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, 0);
    shell(fixture, "rm -r out; mv root/etc/resolv.conf root/etc/resolv.real; ln -s resolv.real root/etc/resolv.conf\n");
    seal_report_clear(&fixture->report);
    seal(fixture, "{}");
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size > 0); /* a link's file is another program's */
}

static void other_name_servers_stay(void **state)
{
    (void)state;
    assert_true(condition_is_builds_resolver("nameserver 10.0.2.3"));
    assert_true(condition_is_builds_resolver("; x\ndomain\tlan\n  nameserver\tfec0::3\n\n"));
    assert_false(condition_is_builds_resolver(""));
    assert_false(condition_is_builds_resolver("search lan\n"));
    assert_false(condition_is_builds_resolver("nameserver 10.0.2.3\nnameserver 9.9.9.9\n"));
    assert_false(condition_is_builds_resolver("nameserver 10.0.2.3\noptions edns0\n"));
    assert_false(condition_is_builds_resolver("nameserver 10.0.2.33\n"));
    assert_false(condition_is_builds_resolver("nameserver\n"));
}

static void a_name_goes_only_where_it_is_made_again(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/etc/nvme/hostid", "1");
    add(fixture, "/usr/sbin/nvme", "");
    add(fixture, "/etc/iscsi/initiatorname.iscsi", "InitiatorName=x"); /* without iscsi-iname */
    add(fixture, "/var/lib/systemd/credential.secret", "1");
    add(fixture, "/var/lib/docker/engine-id", "1");
    add(fixture, "/etc/salt/pki/minion/minion.pem", "1");
    add(fixture, "/etc/salt/pki/minion/minion_master.pub", "the site's");
    seal(fixture, "{}");
    assert_false(left(fixture, "/etc/nvme/hostid"));
    assert_true(left(fixture, "/etc/iscsi/initiatorname.iscsi"));
    assert_false(left(fixture, "/var/lib/systemd/credential.secret"));
    assert_false(left(fixture, "/var/lib/docker/engine-id"));
    assert_false(left(fixture, "/etc/salt/pki/minion/minion.pem"));
    assert_true(left(fixture, "/etc/salt/pki/minion/minion_master.pub"));
    assert_true(left(fixture, "/etc/systemd/system/multi-user.target.wants/machine-identities.service"));
    assert_true(left(fixture, "/usr/local/lib/machine-identities.sh"));
}

static void a_word_keeps_its_rows(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/etc/nvme/hostid", "1");
    add(fixture, "/usr/sbin/nvme", "");
    add(fixture, "/etc/ssh/ssh_host_ed25519_key", "1");
    add(fixture, "/var/log/dpkg.log", "1");
    seal(fixture, "{\"keep\": [\"storage-names\", \"host-keys\"]}");
    assert_true(left(fixture, "/etc/nvme/hostid"));
    assert_true(left(fixture, "/etc/ssh/ssh_host_ed25519_key"));
    assert_false(left(fixture, "/etc/systemd/system/machine-identities.service"));
    g_autofree char *log = text_of(fixture, "/var/log/dpkg.log");
    assert_string_equal(log, "");
}

static void one_unit_makes_host_keys(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/etc/systemd/system/ssh-host-keys.service", "the base's");
    add(fixture, "/etc/systemd/system/ingot-host-keys.service", "an earlier Ingot's");
    seal(fixture, "{}");
    g_autofree char *unit = text_of(fixture, "/etc/systemd/system/ssh-host-keys.service");
    assert_string_equal(unit, "the base's");
    assert_false(left(fixture, "/etc/systemd/system/ingot-host-keys.service"));
}

static void a_system_that_makes_its_own_keys_gets_no_unit(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/usr/lib/systemd/system/sshd-keygen.target", "");
    seal(fixture, "{}");
    assert_false(left(fixture, "/etc/systemd/system/ssh-host-keys.service"));
}

/* --- the key --- */

static void only_the_builds_key_goes(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/root/.ssh/authorized_keys",
        "# keys of the ingot-build team\n\n" OTHER "\nfrom=\"10.*\" " KEY "\n" EARLIER "\nlast");
    add(fixture, "/root/.ssh/authorized_keys2", KEY "\n");
    shell(fixture, "chmod 640 root/root/.ssh/authorized_keys\n");
    seal(fixture, "{}");
    g_autofree char *keys = text_of(fixture, "/root/.ssh/authorized_keys");
    g_autofree char *file = g_strconcat(fixture->out, "/root/.ssh/authorized_keys", NULL);
    struct stat st;
    assert_string_equal(keys, "# keys of the ingot-build team\n\n" OTHER "\nlast");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_false(left(fixture, "/root/.ssh/authorized_keys2"));
}

static gboolean entry_placed(const Fixture *fixture)
{
    EntryDisk disk = {
        .disk = fixture->disk, .format = "raw", .workdir = ingot_workdir_path(fixture->workdir), .cache = "/nowhere"};
    g_autofree char *why_not = NULL;
    assert_true(entry_place(&disk, &why_not, NULL));
    unpack(fixture);
    return why_not == NULL;
}

static void the_way_in_is_gone_after_the_seal(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    add_system(fixture);
    add(fixture, "/usr/lib/systemd/systemd", "");
    layout(fixture);
    assert_true(entry_placed(fixture));
    for (guint i = 0; entry_files[i] != NULL; i++) {
        assert_true(left(fixture, entry_files[i]));
    }
    shell(fixture, "[ $(stat -c %a out/etc/systemd/ingot-entry) = 600 ]; rm -r out");
    assert_true(sealed(fixture, "{}", &error));
    unpack(fixture);
    for (guint i = 0; entry_files[i] != NULL; i++) {
        assert_false(left(fixture, entry_files[i]));
    }
    assert_true(left(fixture, "/etc/systemd/system/x.service"));
}

static void a_system_without_systemd_gets_no_way_in(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    layout(fixture);
    assert_false(entry_placed(fixture));
    for (guint i = 0; entry_files[i] != NULL; i++) {
        assert_false(left(fixture, entry_files[i]));
    }
}

static void keys_of_others_are_untouched(void **state)
{
    (void)state;
    assert_null(keyline_remove("", KEY));
    assert_null(keyline_remove(OTHER "\n", KEY));
    assert_null(keyline_remove("# " KEY "\n", KEY));
    assert_null(keyline_remove("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOURSandmore x\n", KEY));
    g_autofree char *rest = keyline_remove(KEY "\r\n" OTHER, KEY);
    assert_string_equal(rest, OTHER);
}

/* Each boot adds its key behind an empty line, and the owners' may have ended without a newline. */
static void what_boots_added_goes_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text, *rest;
    } cases[] = {
        {"\n" KEY "\n", ""},
        {"\n" EARLIER "\n\n" KEY "\n", ""},
        {OTHER "\n\n" KEY "\n", OTHER "\n"},
        {OTHER "\n\n\n" EARLIER "\n\n" KEY "\n", OTHER "\n\n"},
        {OTHER "\n" KEY "\n", OTHER "\n"},
        {"\n" KEY "\n\n" OTHER "\n", "\n" OTHER "\n"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *rest = keyline_remove(cases[i].text, KEY);
        assert_string_equal(rest, cases[i].rest);
    }
}

/* Keys are in a plain file: whatever else has its name holds none, and is not opened. */
static void what_is_not_a_file_of_keys_is_left(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/srv/team/keys", OTHER "\n" KEY "\n");
    shell(fixture, "mkdir -p root/root/.ssh; mkfifo root/root/.ssh/authorized_keys\n"
                   "ln -s /srv/nothing root/root/.ssh/authorized_keys2\n");
    seal(fixture, "{}");
    shell(fixture, "debugfs -R 'stat /root/.ssh/authorized_keys' 'disk.raw?offset=16777216' 2>&1 | grep -q FIFO\n"
                   "[ -L out/root/.ssh/authorized_keys2 ]; rm -r out\n"
                   "rm root/root/.ssh/*; mkdir root/root/.ssh/authorized_keys\n"
                   "ln -s /srv/team/keys root/root/.ssh/authorized_keys2\n");
    seal_report_clear(&fixture->report);
    seal(fixture, "{}");
    g_autofree char *keys = text_of(fixture, "/srv/team/keys");
    assert_string_equal(keys, OTHER "\n");
    shell(fixture, "[ -d out/root/.ssh/authorized_keys ]; [ -L out/root/.ssh/authorized_keys2 ]\n");
}

static void a_huge_file_of_keys_is_an_error(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    add_system(fixture);
    shell(fixture, "mkdir -p root/root/.ssh; truncate -s 5G root/root/.ssh/authorized_keys\n");
    layout(fixture);
    assert_false(sealed(fixture, "{}", &error));
    assert_non_null(strstr(error->message, "/root/.ssh/authorized_keys: a file of 5368709120 bytes"));
}

/* What is not a plain file is not written through, and keeps what it was. */
static void only_plain_files_are_written(void **state)
{
    Fixture *fixture = *state;
    static const char *const paths[] = {"/srv/pipe", "/srv/folder", "/srv/dangling"};
    add_system(fixture);
    add(fixture, "/srv/folder/kept", "kept");
    add(fixture, "/srv/plain", "before");
    shell(fixture, "mkfifo root/srv/pipe; ln -s nothing root/srv/dangling; ln -s plain root/srv/link\n");
    layout(fixture);
    SystemTreeOptions options = {
        .disk = fixture->disk, .format = "raw", .workdir = ingot_workdir_path(fixture->workdir), .cache = "/nowhere"};
    g_autoptr(SystemTree) tree = system_tree_open(&options, NULL);
    assert_non_null(tree);
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        assert_false(system_tree_write(tree, paths[i], "text", 0644, &error));
        assert_non_null(strstr(error->message, "not a regular file"));
        assert_true(system_tree_read(tree, paths[i], SYSTEM_TEXT_MAX, &text, NULL));
        assert_null(text);
    }
    assert_true(system_tree_write(tree, "/srv/link", "after", 0644, NULL));
    assert_true(system_tree_close(tree, NULL));
    unpack(fixture);
    g_autofree char *kept = text_of(fixture, "/srv/folder/kept");
    g_autofree char *after = text_of(fixture, "/srv/plain");
    assert_string_equal(kept, "kept");
    assert_string_equal(after, "after");
}

/* --- what no file holds --- */

static void nothing_of_the_past_is_left(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    shell(fixture, "truncate -s 1M root/swapfile; mkswap -q root/swapfile 2>/dev/null\n"
                   "printf " SECRET "-in-file | dd of=root/swapfile bs=4096 seek=9 conv=notrunc status=none\n");
    add(fixture, "/tmp/deleted", SECRET "-in-tmp");
    layout(fixture);
    /* The journal of a file system that was in use, and a block that was freed. */
    shell(fixture, "debugfs -w -R 'dump <8> journal' 'disk.raw?offset=16777216' 2>/dev/null\n"
                   "block=$(debugfs -R 'blocks <8>' 'disk.raw?offset=16777216' 2>/dev/null | cut -d' ' -f5)\n"
                   "printf " SECRET "-in-journal | dd of=disk.raw bs=1024 seek=$((16384 + block * "
                   "$(dumpe2fs -h 'disk.raw?offset=16777216' 2>/dev/null | sed -n 's/^Block size: *//p') / 1024)) "
                   "conv=notrunc status=none\n");
    assert_true(disk_holds(fixture, SECRET) && disk_holds(fixture, SECRET "-in-file"));
    assert_true(disk_holds(fixture, SECRET "-in-tmp") && disk_holds(fixture, SECRET "-in-journal"));
    assert_true(sealed(fixture, "{}", NULL));
    unpack(fixture);
    assert_false(disk_holds(fixture, SECRET));
    assert_true(left(fixture, "/swapfile"));
    shell(fixture, "dd if=disk.raw of=swap bs=1M skip=9 count=7 status=none\n"
                   "[ \"$(blkid -p -o value -s UUID swap)\" = 11111111-2222-3333-4444-555555555555 ]\n"
                   "[ \"$(blkid -p -o value -s LABEL swap)\" = memory ]\n"
                   "[ \"$(blkid -p -o value -s TYPE out/swapfile)\" = swap ]\n");
}

static void one_disk_gives_one_result(void **state)
{
    Fixture *fixture = *state;
    add_system(fixture);
    add(fixture, "/var/log/x/y.log", "1");
    layout(fixture);
    shell(fixture, "cp --sparse=always disk.raw twin.raw\n");
    assert_true(sealed(fixture, "{}", NULL));
    seal_report_clear(&fixture->report);
    shell(fixture, "mv disk.raw first.raw; mv twin.raw disk.raw; sleep 1.1\n");
    assert_true(sealed(fixture, "{}", NULL));
    shell(fixture, "cmp disk.raw first.raw\n");
}

/* Bytes turned at random in the file system's own tables: the seal fails, or what it leaves has nothing that it ought
 * to have taken away; it never does neither. */
static void damage_is_an_error_or_no_matter(void **state)
{
    Fixture *fixture = *state;
    guint errors = 0;
    add_system(fixture);
    add(fixture, "/etc/ssh/ssh_host_ed25519_key", SECRET);
    layout(fixture);
    shell(fixture, "cp --sparse=always disk.raw good.raw\n");
    g_autoptr(GRand) random = g_rand_new_with_seed(12);
    for (guint round = 0; round < 10; round++) {
        shell(fixture, "cp --sparse=always good.raw disk.raw\n");
        g_auto(IngotFd) fd = ingot_file_open(fixture->disk, O_RDWR, 0, NULL);
        for (guint i = 0; i < 64; i++) {
            guint8 byte = (guint8)g_rand_int(random);
            assert_int_equal(pwrite(fd, &byte, 1, ROOT + 4096 + g_rand_int_range(random, 0, 4 * (gint)MIB)), 1);
        }
        g_autoptr(GError) error = NULL;
        if (!sealed(fixture, "{}", &error)) {
            assert_non_null(error);
            errors++;
        } else {
            assert_false(disk_holds(fixture, SECRET));
        }
        seal_report_clear(&fixture->report);
    }
    assert_true(errors > 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(patterns_mean_what_they_say),
        TEST(climbing_is_an_error),
        TEST(the_efi_partition_is_not_passed_over),
        TEST(cloud_init_forgets_the_build_alone),
        TEST(what_cloud_init_did_not_write_stays),
        TEST(settings_of_a_disabled_cloud_init_stay),
        TEST(the_builds_name_server_goes),
        TEST(other_name_servers_stay),
        TEST(a_name_goes_only_where_it_is_made_again),
        TEST(a_word_keeps_its_rows),
        TEST(one_unit_makes_host_keys),
        TEST(a_system_that_makes_its_own_keys_gets_no_unit),
        TEST(only_the_builds_key_goes),
        TEST(the_way_in_is_gone_after_the_seal),
        TEST(a_system_without_systemd_gets_no_way_in),
        TEST(what_is_not_a_file_of_keys_is_left),
        TEST(a_huge_file_of_keys_is_an_error),
        TEST(only_plain_files_are_written),
        TEST(keys_of_others_are_untouched),
        TEST(what_boots_added_goes_whole),
        TEST(nothing_of_the_past_is_left),
        TEST(one_disk_gives_one_result),
        TEST(damage_is_an_error_or_no_matter),
    };
    g_setenv("LIBGUESTFS_PATH", "/nowhere", TRUE); /* the appliance would be an error: nothing here needs it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
