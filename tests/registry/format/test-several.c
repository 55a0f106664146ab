/* Views of an image of several disks: machines have all of them, a disk's formats a file for each; whatever a file is
 * made by (laid out, written in one pass, read in ranges), it has the same bytes, and QEMU finds the disks in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/manifest.h>
#include <ingot/packer.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "format/attach.h"
#include "format/input.h"

#define MIB ((gsize)1 << 20)
#define COUNT 3u

/* No whole numbers of blocks; two are equal, one has more than one table of a VMDK. */
static const gsize sizes[COUNT] = {5 * MIB + 4096, 33 * MIB + 512, 5 * MIB + 4096};
static IngotWorkdir *workdir;
static IngotPacked *packed[COUNT];
static IngotDisk *disk;

static char *file_of(const char *kind, guint i)
{
    g_autofree char *name = g_strdup_printf("%s%u", kind, i);
    return ingot_workdir_file(workdir, name);
}

static IngotDisk *open_disk(guint i)
{
    g_autofree char *blob = file_of("blob", i);
    return ingot_disk_open(blob, packed[i]->index, NULL);
}

/* Bytes that get smaller, that don't, and none. */
static gboolean pack(guint i)
{
    g_autofree char *raw = file_of("raw", i), *blob = file_of("blob", i);
    g_autofree guint8 *bytes = g_malloc0(sizes[i]);
    g_autoptr(GRand) random = g_rand_new_with_seed(i == 1);
    for (gsize k = 0; k < MIB; k++) {
        bytes[k] = (guint8)g_rand_int(random);
        bytes[3 * MIB + 5000 + k] = (guint8)g_rand_int_range(random, 0, 4);
        bytes[sizes[i] - 1 - k] = (guint8)(k % 3 == 0 ? g_rand_int(random) : 1);
    }
    g_autoptr(IngotBlocks) blocks = NULL;
    if (!ingot_file_replace(raw, bytes, sizes[i], 0644, NULL) ||
        (blocks = ingot_blocks_open(raw, "raw", NULL)) == NULL) {
        return FALSE;
    }
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT, 0644, NULL);
    packed[i] = ingot_pack(blocks, &(IngotPackOptions){0}, fd, blob, NULL);
    return packed[i] != NULL;
}

static IngotDisk *join(guint count)
{
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < count; i++) {
        g_ptr_array_add(list, open_disk(i));
    }
    return ingot_disk_join(list);
}

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    for (guint i = 0; i < COUNT; i++) {
        if (!pack(i)) {
            return -1;
        }
    }
    disk = join(COUNT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_disk_free(disk);
    for (guint i = 0; i < COUNT; i++) {
        ingot_packed_free(packed[i]);
    }
    ingot_workdir_free(workdir);
    return 0;
}

/* In the work folder, where it is $0's argument: a script that ends well. */
static void check_shell(const char *script, const char *argument)
{
    const char *argv[] = {"sh", "-euc", script, "sh", argument, NULL};
    g_autofree char *output = NULL, *problem = NULL;
    int status = 0;
    assert_true(g_spawn_sync(ingot_workdir_path(workdir), (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output,
                             &problem, &status, NULL));
    if (status != 0) {
        fail_msg("%s: %s%s", argument, output, problem);
    }
}

/* --- files --- */

static void check_ranges(const IngotFormatInput *input, const IngotFormatFile *file, const char *path)
{
    g_autoptr(GBytes) bytes = ingot_file_read(path, 1u << 30, NULL);
    gsize size;
    const guint8 *whole = g_bytes_get_data(bytes, &size);
    assert_int_equal(size, ingot_layout_size(file->layout));
    g_autofree guint8 *buffer = g_malloc(size);
    g_autoptr(GRand) random = g_rand_new_with_seed(3);
    for (guint i = 0; i < 15; i++) {
        gsize from = (gsize)g_rand_double_range(random, 0, (double)size);
        gsize most = (gsize)g_rand_int_range(random, 1, 3000000), count = MIN(size - from, most);
        g_autoptr(GError) error = NULL;
        if (!ingot_layout_read(file->layout, from, buffer, count, input->disk, &error)) {
            fail_msg("%s: %s", file->name, error->message);
        }
        assert_memory_equal(buffer, whole + from, count);
    }
}

/* The written files are the laid out ones. */
static void check_written(const IngotFormat *format, const IngotFormatInput *input, const char *path)
{
    g_autoptr(GPtrArray) files = ingot_format_files(format, input, NULL);
    assert_non_null(files);
    assert_int_equal(ingot_format_is_folder(format, input), files->len > 1);
    for (guint i = 0; i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        g_autofree char *inside = files->len == 1 ? g_strdup(path) : g_build_filename(path, file->name, NULL);
        check_ranges(input, file, inside);
    }
}

/* Each format's disks, by what QEMU calls it, where it stands in a folder of files. */
static const struct {
    const char *format, *qemu, *ending;
} plain[] = {
    {"raw", "raw", "raw"},    {"qcow2", "qcow2", "qcow2"},     {"qcow2-zstd", "qcow2", "qcow2"},
    {"vdi", "vdi", "vdi"},    {"vhd", "vpc", "vhd"},           {"vhdx", "vhdx", "vhdx"},
    {"vmdk", "vmdk", "vmdk"}, {"vmdk-stream", "vmdk", "vmdk"},
};

static void each_disk_is_a_file(void **state)
{
    (void)state;
    const IngotFormatInput input = {.disk = disk, .name = "team/web"};
    for (guint i = 0; i < G_N_ELEMENTS(plain); i++) {
        const IngotFormat *format = ingot_format_find(plain[i].format, NULL);
        g_autofree char *path = ingot_workdir_file(workdir, "folder");
        g_autoptr(GPtrArray) files = ingot_format_files(format, &input, NULL);
        assert_int_equal(files->len, COUNT);
        assert_true(ingot_format_export(format, &input, path, NULL, NULL));
        check_written(format, &input, path);
        for (guint k = 0; k < COUNT; k++) {
            g_autofree char *script =
                g_strdup_printf("qemu-img compare -q -f raw -F %s raw%u folder/disk%u.\"$1\"", plain[i].qemu, k, k);
            check_shell(script, plain[i].ending);
        }
        assert_true(ingot_file_remove_tree(path, NULL));
    }
}

/* One disk of several has the bytes that it has beside the others. */
static void one_of_several_is_its_file(void **state)
{
    (void)state;
    const IngotFormatInput all = {.disk = disk, .name = "team/web"};
    for (guint i = 0; i < G_N_ELEMENTS(plain); i++) {
        const IngotFormat *format = ingot_format_find(plain[i].format, NULL);
        const IngotFormatInput one = {.disk = disk, .name = "team/web", .number = 2, .count = 1};
        g_autofree char *alone = ingot_workdir_file(workdir, "alone"), *name = ingot_workdir_file(workdir, "by-name");
        g_autofree char *file = g_strdup_printf("disk2.%s", plain[i].ending);
        assert_false(ingot_format_is_folder(format, &one));
        assert_true(ingot_format_export(format, &one, alone, NULL, NULL));
        assert_true(ingot_format_export_file(format, &all, file, name, NULL, NULL, NULL));
        check_written(format, &one, alone);
        check_shell("cmp alone by-name", file);
    }
}

/* Disks that are equal are two disks to a machine. */
static void equal_disks_have_names_of_their_own(void **state)
{
    (void)state;
    const IngotFormatInput input = {.disk = disk};
    static const char *const named[] = {"vdi", "vhd", "vhdx", "vmdk"};
    for (guint i = 0; i < G_N_ELEMENTS(named); i++) {
        g_autofree char *path = ingot_workdir_file(workdir, "folder");
        assert_true(ingot_format_export(ingot_format_find(named[i], NULL), &input, path, NULL, NULL));
        check_shell("! cmp -s folder/disk0.\"$1\" folder/disk2.\"$1\"", named[i]);
        assert_true(ingot_file_remove_tree(path, NULL));
    }
}

/* --- machines --- */

static const struct {
    const char *format, *members, *disk, *ending, *qemu;
} machines[] = {
    {"ova", "web.ovf web.mf web-disk0.vmdk web-disk1.vmdk web-disk2.vmdk", "web-disk", ".vmdk", "vmdk"},
    {"vagrant-libvirt", "metadata.json Vagrantfile box_0.img box_1.img box_2.img", "box_", ".img", "qcow2"},
    {"vagrant-qemu", "metadata.json Vagrantfile box_0.img box_1.img box_2.img", "box_", ".img", "qcow2"},
    {"vagrant-virtualbox", "metadata.json Vagrantfile box.ovf box-disk0.vmdk box-disk1.vmdk box-disk2.vmdk", "box-disk",
     ".vmdk", "vmdk"},
    {"vagrant-vmware", "metadata.json Vagrantfile box.vmx disk0.vmdk disk1.vmdk disk2.vmdk", "disk", ".vmdk", "vmdk"},
};

/* What the description says of the files is so, and the manifest too. */
static const char check_description[] =
    "cd out\n"
    "for file in *.ovf; do\n"
    "    [ -e \"$file\" ] || continue\n"
    "    grep -o 'href=\"[^\"]*\" ovf:id=\"file[0-9]\" ovf:size=\"[0-9]*' \"$file\" |\n"
    "        sed 's/href=\"\\([^\"]*\\)\".*size=\"\\(.*\\)/\\2 \\1/' >../sizes\n"
    "    [ \"$(wc -l <../sizes)\" = 3 ]\n"
    "    while read -r size name; do [ \"$(wc -c <\"$name\")\" = \"$size\" ]; done <../sizes\n"
    "    [ \"$(grep -c '<rasd:ResourceType>17<' \"$file\")\" = 3 ]\n"
    "done\n"
    "for file in *.mf; do\n"
    "    [ ! -e \"$file\" ] || sed 's/^SHA256(\\(.*\\))= \\(.*\\)$/\\2  \\1/' \"$file\" | sha256sum -c --quiet\n"
    "done\n"
    "if [ -e metadata.json ]; then python3 -m json.tool metadata.json >/dev/null; fi\n";

static void a_machine_has_all_disks(void **state)
{
    (void)state;
    const IngotFormatInput input = {.disk = disk, .name = "team/web"};
    for (guint i = 0; i < G_N_ELEMENTS(machines); i++) {
        const IngotFormat *format = ingot_format_find(machines[i].format, NULL);
        g_autofree char *path = ingot_workdir_file(workdir, "machine"), *out = ingot_workdir_file(workdir, "out");
        assert_true(ingot_format_export(format, &input, path, NULL, NULL));
        check_written(format, &input, path);
        check_shell("rm -rf out; mkdir out; tar -C out -xf machine; [ \"$(tar -tf machine | xargs)\" = \"$1\" ]",
                    machines[i].members);
        check_shell(check_description, machines[i].format);
        for (guint k = 0; k < COUNT; k++) {
            g_autofree char *name = g_strdup_printf("%s%u%s", machines[i].disk, k, machines[i].ending);
            g_autofree char *script =
                g_strdup_printf("qemu-img compare -q -f raw -F %s raw%u out/\"$1\"", machines[i].qemu, k);
            check_shell(script, name);
        }
        assert_true(ingot_file_remove_tree(out, NULL));
    }
}

static void a_vmx_is_a_folder_of_all(void **state)
{
    (void)state;
    const IngotFormatInput input = {.disk = disk, .name = "team/web"};
    g_autofree char *path = ingot_workdir_file(workdir, "folder");
    assert_true(ingot_format_export(ingot_format_find("vmx", NULL), &input, path, NULL, NULL));
    check_shell("[ \"$(ls folder | xargs)\" = \"$1\" ]", "disk0.vmdk disk1.vmdk disk2.vmdk web.vmx");
    check_shell("grep -Fqx \"$1\" folder/web.vmx", "sata0:2.fileName = \"disk2.vmdk\"");
    check_shell("grep -Fqx \"$1\" folder/web.vmx", "sata0:2.present = \"TRUE\"");
    check_shell("[ \"$(grep -Fcx \"$1\" folder/web.vmx)\" = 1 ]", "sata0.present = \"TRUE\"");
    assert_true(ingot_file_remove_tree(path, NULL));
}

static gboolean read_rotten(gpointer blob, guint64 offset, void *buffer, gsize size, GError **error)
{
    (void)error;
    memcpy(buffer, (const guint8 *)g_bytes_get_data(blob, NULL) + offset, size);
    ((guint8 *)buffer)[size / 2] ^= offset > 1000000;
    return TRUE;
}

/* Nothing is there, neither of the disk that is damaged nor of those before it. */
static void damage_of_one_is_an_error(void **state)
{
    (void)state;
    g_autofree char *blob = file_of("blob", 2), *path = ingot_workdir_file(workdir, "rotten");
    g_autoptr(GBytes) bytes = ingot_file_read(blob, 1u << 30, NULL);
    GPtrArray *list = g_ptr_array_new();
    g_ptr_array_add(list, open_disk(0));
    g_ptr_array_add(list, ingot_disk_new(read_rotten, bytes, NULL, "rotten", packed[2]->index));
    g_autoptr(IngotDisk) rotten = ingot_disk_join(list);
    const IngotFormatInput input = {.disk = rotten};
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        g_autoptr(GError) error = NULL;
        assert_false(ingot_format_export(*format, &input, path, NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        check_shell("[ ! -e \"$1\" ] && [ -z \"$(ls -A | grep '^[.]ingot')\" ]", "rotten");
    }
}

static gboolean count_read(gpointer user, GError **error)
{
    (void)error;
    g_atomic_int_inc((gint *)user);
    return TRUE;
}

/* What compresses is written as it is measured: each block is read once. */
static void one_pass_writes_all(void **state)
{
    (void)state;
    g_autoptr(IngotDisk) counted = join(COUNT);
    gint reads = 0;
    ingot_disk_set_gate(counted, count_read, &reads);
    const IngotFormatInput input = {.disk = counted, .name = "team/web"};
    static const char *const coded[] = {"vmdk-stream", "ova", "vagrant-virtualbox"};
    g_autoptr(GPtrArray) files = ingot_format_files(ingot_format_find("vmdk-stream", NULL), &input, NULL);
    gint measured = reads;
    assert_true(measured > 0);
    for (guint i = 0; i < G_N_ELEMENTS(coded); i++) {
        g_autofree char *path = ingot_workdir_file(workdir, "one-pass");
        reads = 0;
        assert_true(ingot_format_export(ingot_format_find(coded[i], NULL), &input, path, NULL, NULL));
        assert_int_equal(reads, measured);
        check_shell("rm -rf \"$1\"", "one-pass");
    }
}

/* --- what is kept --- */

static GBytes *find_kept(const char *what, gpointer user)
{
    GBytes *value = g_hash_table_lookup(user, what);
    return value == NULL ? NULL : g_bytes_ref(value);
}

static void keep(const char *what, GBytes *value, gpointer user)
{
    assert_false(g_hash_table_contains(user, what)); /* nothing is worked out twice, and no two things have one name */
    g_hash_table_insert(user, g_strdup(what), g_bytes_ref(value));
}

static void each_disk_is_measured_for_itself(void **state)
{
    (void)state;
    g_autoptr(GHashTable) kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
    const IngotFormatKeeper keeper = {.find = find_kept, .keep = keep, .user = kept};
    const IngotFormatInput input = {.disk = disk, .name = "team/web", .keeper = &keeper};
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        for (guint turn = 0; turn < 2; turn++) {
            g_autoptr(GPtrArray) files = ingot_format_files(*format, &input, NULL);
            for (guint i = 0; i < files->len; i++) {
                const IngotFormatFile *file = g_ptr_array_index(files, i);
                IngotDigest digest, found;
                assert_true(ingot_format_digest(*format, &input, file, &digest, NULL));
                assert_true(ingot_layout_digest(file->layout, disk, NULL, &found, NULL));
                assert_true(ingot_digest_equal(&digest, &found));
            }
        }
    }
}

/* --- how they hang together --- */

typedef struct {
    AttachBus bus;
    guint controller, unit;
} Place;

static IngotDisk *read_nothing(guint count)
{
    GPtrArray *list = g_ptr_array_new();
    g_autoptr(IngotIndex) index = ingot_index_new("none", 32768);
    ingot_index_add(index, NULL, INGOT_BLOCK_SIZE, 10);
    for (guint i = 0; i < count; i++) {
        g_ptr_array_add(list, ingot_disk_new(NULL, NULL, NULL, "none", index));
    }
    return ingot_disk_join(list);
}

/* The config of so many disks, all on one bus (NULL: it does not say). */
static json_t *config_of(guint count, const char *bus)
{
    json_t *config = ingot_config_new("amd64", INGOT_BLOCK_SIZE);
    for (guint i = 0; i < count; i++) {
        if (i > 0) {
            ingot_config_add_disk(config, INGOT_BLOCK_SIZE);
        }
        ingot_json_set_string(ingot_config_disk(config, i), "bus", bus);
    }
    return config;
}

static void disks_find_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *bus;
        guint count, look; /* at that one */
        gboolean nvme;
        Place place;
    } cases[] = {
        {NULL, 30, 29, FALSE, {ATTACH_SATA, 0, 29}},   {"virtio", 2, 1, TRUE, {ATTACH_SATA, 0, 1}},
        {"scsi", 30, 6, FALSE, {ATTACH_SCSI, 0, 6}},   {"scsi", 30, 7, FALSE, {ATTACH_SCSI, 0, 8}},
        {"scsi", 30, 14, FALSE, {ATTACH_SCSI, 0, 15}}, {"scsi", 30, 15, FALSE, {ATTACH_SCSI, 1, 0}},
        {"ide", 6, 3, FALSE, {ATTACH_IDE, 1, 1}},      {"ide", 6, 5, FALSE, {ATTACH_SATA, 0, 1}},
        {"nvme", 2, 1, FALSE, {ATTACH_SATA, 0, 1}},    {"nvme", 2, 1, TRUE, {ATTACH_NVME, 0, 1}},
        {"tape", 1, 0, FALSE, {ATTACH_SATA, 0, 0}},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(IngotDisk) many = read_nothing(cases[i].count);
        g_autoptr(json_t) config = config_of(cases[i].count, cases[i].bus);
        const IngotFormatInput input = {.disk = many, .config = config};
        g_autofree Attach *attach = attach_disks(&input, cases[i].nvme);
        const Attach *found = &attach[cases[i].look];
        assert_int_equal(found->bus, cases[i].place.bus);
        assert_int_equal(found->controller, cases[i].place.controller);
        assert_int_equal(found->unit, cases[i].place.unit);
    }
}

/* Of machines with more disks than they take, one alone can still be had. */
static void too_many_disks_are_refused(void **state)
{
    (void)state;
    g_autoptr(IngotDisk) many = read_nothing(ATTACH_DISKS_MAX + 1);
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        const IngotFormatInput all = {.disk = many}, one = {.disk = many, .number = ATTACH_DISKS_MAX, .count = 1};
        g_autoptr(GError) error = NULL;
        assert_int_equal(ingot_format_can(*format, &all, &error), (*format)->disks == 0);
        assert_true((*format)->disks == 0 || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(ingot_format_can(*format, &one, NULL));
    }
}

/* --- what a config says of its machine --- */

/* The text of a file of the format, or of a member of its archive. */
static char *text_of(const char *format, const json_t *config, const char *member)
{
    const IngotFormatInput input = {.disk = disk, .name = "team/web", .config = config, .count = 2};
    g_autofree char *path = ingot_workdir_file(workdir, "text"), *text = NULL;
    g_autofree char *file = ingot_workdir_file(workdir, "member");
    const char *argv[] = {"sh",
                          "-c",
                          "rm -rf text.d; if [ -d text ]; then cp text/*.vmx member; else "
                          "mkdir text.d; tar -C text.d -xf text; cp text.d/\"$1\" member; fi; rm -rf text",
                          "sh",
                          member,
                          NULL};
    assert_true(ingot_format_export(ingot_format_find(format, NULL), &input, path, NULL, NULL));
    assert_true(g_spawn_sync(ingot_workdir_path(workdir), (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                             NULL, NULL, NULL));
    assert_true(g_file_get_contents(file, &text, NULL, NULL));
    return g_steal_pointer(&text);
}

static void descriptions_follow_the_config(void **state)
{
    (void)state;
    static const struct {
        const char *format, *member, *architecture, *system, *bus, *told;
    } cases[] = {
        {"ova", "web.ovf", "amd64", "debian", NULL, "<Description>Debian_64<"},
        {"ova", "web.ovf", "arm64", "debian", NULL, "<Description>Debian_arm64<"},
        {"ova", "web.ovf", "arm64", NULL, NULL, "vmw:value=\"efi\""},
        {"ova", "web.ovf", "amd64", NULL, "scsi", "<rasd:ResourceSubType>lsilogic<"},
        {"ova", "web.ovf", "amd64", NULL, "ide", "<rasd:ResourceSubType>PIIX4<"},
        {"ova", "web.ovf", "amd64", NULL, "nvme", "<rasd:ResourceSubType>AHCI<"},
        {"vmx", "", "arm64", "ubuntu", NULL, "guestOS = \"arm-ubuntu-64\""},
        {"vmx", "", "arm64", "ubuntu", NULL, "firmware = \"efi\""},
        {"vmx", "", "arm64", "ubuntu", NULL, "virtualHW.version = \"20\""},
        {"vmx", "", "amd64", "ubuntu", "scsi", "scsi0.virtualDev = \"lsilogic\""},
        {"vmx", "", "amd64", "ubuntu", "scsi", "scsi0:1.fileName = \"disk1.vmdk\""},
        {"vmx", "", "amd64", "ubuntu", "nvme", "nvme0:1.present = \"TRUE\""},
        {"vagrant-vmware", "metadata.json", "arm64", NULL, NULL, "\"architecture\": \"arm64\""},
        {"vagrant-virtualbox", "box.ovf", "arm64", "ubuntu", NULL, "<Description>Ubuntu_arm64<"},
        {"vagrant-qemu", "Vagrantfile", "arm64", NULL, NULL, "machine.arch = \"aarch64\""},
        {"vagrant-qemu", "Vagrantfile", "arm64", NULL, NULL, "machine.machine = \"virt\""},
        {"vagrant-qemu", "Vagrantfile", "amd64", NULL, NULL, "machine.arch = \"x86_64\""},
        {"vagrant-libvirt", "Vagrantfile", "amd64", NULL, "scsi", "disk_bus = \"scsi\""},
        {"vagrant-libvirt", "Vagrantfile", "amd64", NULL, "nvme", "disk_bus = \"virtio\""},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(json_t) config = config_of(COUNT, cases[i].bus);
        json_object_set_new(config, "architecture", json_string(cases[i].architecture));
        json_object_set_new(config, "os", json_pack("{s:s*}", "id", cases[i].system));
        g_autofree char *text = text_of(cases[i].format, config, cases[i].member);
        if (strstr(text, cases[i].told) == NULL) {
            fail_msg("%s: no %s in %s", cases[i].format, cases[i].told, text);
        }
    }
}

/* Only what starts by UEFI can be for arm64. */
static void arm_is_not_for_all(void **state)
{
    (void)state;
    g_autoptr(json_t) config = config_of(COUNT, NULL);
    json_object_set_new(config, "architecture", json_string("arm64"));
    const IngotFormatInput input = {.disk = disk, .config = config};
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        g_autoptr(GError) error = NULL;
        gboolean can = ingot_format_can(*format, &input, &error);
        assert_int_equal(can, strcmp((*format)->name, "vagrant-libvirt") != 0);
        assert_true(can || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

/* What a box brought with it stands in boxes of its provider again, and in no others. */
static void a_box_keeps_its_own_settings(void **state)
{
    (void)state;
    static const struct {
        const char *from, *format;
        gboolean own;
    } cases[] = {
        {"libvirt", "vagrant-libvirt", TRUE},       {"libvirt", "vagrant-virtualbox", FALSE},
        {"virtualbox", "vagrant-virtualbox", TRUE}, {"vmware_fusion", "vagrant-vmware", TRUE},
        {"hyperv", "vagrant-libvirt", FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(json_t) config = config_of(COUNT, NULL);
        json_object_set_new(config, "vagrant",
                            json_pack("{s:s, s:s, s:{s:s}}", "provider", cases[i].from, "vagrantfile", "# its own\n",
                                      "info", "author", "somebody"));
        g_autofree char *text = text_of(cases[i].format, config, "Vagrantfile");
        assert_int_equal(strcmp(text, "# its own\n") == 0, cases[i].own);
        check_shell(cases[i].own ? "grep -q \"$1\" text.d/info.json" : "[ ! -e text.d/info.json ]", "somebody");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_disk_is_a_file),
        cmocka_unit_test(one_of_several_is_its_file),
        cmocka_unit_test(equal_disks_have_names_of_their_own),
        cmocka_unit_test(a_machine_has_all_disks),
        cmocka_unit_test(a_vmx_is_a_folder_of_all),
        cmocka_unit_test(damage_of_one_is_an_error),
        cmocka_unit_test(one_pass_writes_all),
        cmocka_unit_test(each_disk_is_measured_for_itself),
        cmocka_unit_test(disks_find_a_place),
        cmocka_unit_test(too_many_disks_are_refused),
        cmocka_unit_test(descriptions_follow_the_config),
        cmocka_unit_test(arm_is_not_for_all),
        cmocka_unit_test(a_box_keeps_its_own_settings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
