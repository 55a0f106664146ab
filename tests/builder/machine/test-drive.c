/* Drives: a file has the format that the caller says, whatever its bytes look like; all roles and any path are taken by
 * the real QEMU; layers move all disks at once. Nothing boots: the machines are looked at as soon as they have started.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "machine/overlay.h"
#include "machine/state.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ingot-build"
#define SIZE (1u << 20)

static IngotWorkdir *workdir;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    return workdir == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(workdir);
    workdir = NULL;
    return 0;
}

/* What a peer may push: a disk whose bytes are a qcow2 over a file of the host. */
static char *evil_disk(void)
{
    g_autofree char *secret = ingot_workdir_file(workdir, "secret");
    g_autofree char *text = g_malloc0(SIZE);
    g_strlcpy(text, "a file of the host", SIZE);
    assert_true(ingot_file_replace(secret, text, SIZE, 0600, NULL));
    char *path = ingot_workdir_file(workdir, "evil.raw");
    assert_true(overlay_create(path, secret, "raw", 0, NULL));
    return path;
}

static char *blank_disk(const char *name)
{
    char *path = ingot_workdir_file(workdir, name);
    assert_true(overlay_empty(path, SIZE, NULL));
    return path;
}

/* A machine with these drives in the folder of that name. */
static Machine *start(const char *name, const MachineDrive *drives, guint count)
{
    g_autofree char *folder = ingot_workdir_file(workdir, name);
    assert_true(ingot_file_make_folder(folder, NULL));
    const MachineOptions options = {
        .drives = drives, .drive_count = count, .cpus = 1, .memory = 64 << 20, .folder = folder, .public_key = KEY};
    g_autoptr(GError) error = NULL;
    Machine *machine = machine_start(&options, &error);
    if (machine == NULL) {
        print_error("%s\n", error->message);
    }
    assert_non_null(machine);
    return machine;
}

/* What QEMU has opened behind its n-th device. */
static json_t *inserted(Machine *machine, guint n)
{
    g_autoptr(json_t) devices = machine_qmp(machine, "query-block", NULL, NULL);
    guint seen = 0;
    for (size_t i = 0; i < json_array_size(devices); i++) {
        json_t *found = json_object_get(json_array_get(devices, i), "inserted");
        if (found != NULL && seen++ == n) {
            return json_incref(found);
        }
    }
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void a_format_is_never_guessed(void **state)
{
    (void)state;
    g_autofree char *evil = evil_disk();
    const MachineDrive drive = {.path = evil, .format = "raw"};
    g_autoptr(Machine) machine = start("plain", &drive, 1);
    g_autoptr(json_t) disk = inserted(machine, 0);
    assert_string_equal(text_of(disk, "drv"), "raw");
    assert_null(json_object_get(disk, "backing_file"));
    /* The container's bytes are what the guest reads, so that is how long the disk is. */
    guint64 size;
    assert_true(overlay_size(evil, "raw", &size, NULL));
    assert_true(size != SIZE);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(disk, "image"), "virtual-size")), size);
}

static void nor_below_a_snapshot(void **state)
{
    (void)state;
    g_autofree char *evil = evil_disk();
    const MachineDrive drive = {.path = evil, .format = "raw", .snapshot = TRUE};
    g_autoptr(Machine) machine = start("snapshot", &drive, 1);
    g_autoptr(json_t) disk = inserted(machine, 0);
    assert_string_equal(text_of(disk, "drv"), "qcow2");
    const json_t *below = json_object_get(json_object_get(disk, "image"), "backing-image");
    assert_string_equal(text_of(below, "filename"), evil);
    assert_string_equal(text_of(below, "format"), "raw");
    assert_null(json_object_get(below, "backing-image"));
}

static void every_role_and_any_path_is_taken(void **state)
{
    (void)state;
    g_autofree char *one = blank_disk("one, and a blank.qcow2"), *two = blank_disk("zw\303\266lf.qcow2");
    g_autofree char *cd = ingot_workdir_file(workdir, "cd=1,2.iso"), *floppy = ingot_workdir_file(workdir, "a:.img");
    g_autofree char *zeros = g_malloc0(1440 << 10);
    assert_true(ingot_file_replace(cd, zeros, SIZE, 0600, NULL));
    assert_true(ingot_file_replace(floppy, zeros, 1440 << 10, 0600, NULL));
    const MachineDrive drives[] = {
        {.path = one, .format = "qcow2"},
        {.path = cd, .format = "raw", .role = DRIVE_CDROM},
        {.path = floppy, .format = "raw", .role = DRIVE_FLOPPY},
        {.path = two, .format = "qcow2", .snapshot = TRUE},
        {.path = cd, .format = "raw", .role = DRIVE_CDROM},
    };
    g_autoptr(Machine) machine = start("a, folder=\303\274", drives, G_N_ELEMENTS(drives));
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < G_N_ELEMENTS(drives) + 1; i++) { /* the last one is the seed */
        g_autoptr(json_t) drive = inserted(machine, i);
        assert_non_null(drive);
        assert_int_equal(json_is_true(json_object_get(drive, "ro")),
                         i == G_N_ELEMENTS(drives) || drives[i].role != DRIVE_DISK);
    }
    assert_true(machine_alive(machine, NULL));
}

/* The file of a layer: its path, or behind it the path in a description of the whole chain, the layer's own last. */
static void assert_top(Machine *machine, guint n, const char *path)
{
    g_autoptr(json_t) disk = inserted(machine, n);
    g_autofree char *last = g_strdup_printf("\"%s\"}}", path);
    const char *file = text_of(disk, "file");
    if (!g_str_has_suffix(file, last)) {
        assert_string_equal(file, path);
    }
}

static void layers_move_all_disks_or_none(void **state)
{
    (void)state;
    g_autofree char *one = blank_disk("one.qcow2"), *two = blank_disk("two.qcow2");
    g_autofree char *next = blank_disk("next,1.qcow2"), *after = blank_disk("next,2.qcow2");
    const MachineDrive drives[] = {{.path = one, .format = "qcow2"}, {.path = two, .format = "qcow2"}};
    g_autoptr(Machine) machine = start("layers", drives, 2);
    assert_true(machine_stop(machine, NULL));
    g_autoptr(GError) error = NULL;
    assert_false(machine_layer(machine, (const char *const[]){next, "/nowhere/at-all.qcow2"}, &error));
    assert_non_null(strstr(error->message, "/nowhere/at-all.qcow2"));
    assert_top(machine, 0, one);
    assert_top(machine, 1, two);
    g_clear_error(&error);
    assert_false(machine_layer(machine, (const char *const[]){next, "/no/text\xff.qcow2"}, &error));
    assert_non_null(strstr(error->message, "not UTF-8"));
    assert_top(machine, 0, one);
    g_clear_error(&error);
    for (guint round = 0; round < 2; round++) { /* the file that was opened in vain can be opened again */
        g_autofree char *first = round == 0 ? g_strdup(next) : blank_disk("third.qcow2");
        g_autofree char *second = round == 0 ? g_strdup(after) : blank_disk("fourth.qcow2");
        assert_true(machine_layer(machine, (const char *const[]){first, second}, &error));
        assert_top(machine, 0, first);
        assert_top(machine, 1, second);
    }
    assert_true(machine_continue(machine, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_format_is_never_guessed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_below_a_snapshot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_role_and_any_path_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(layers_move_all_disks_or_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
