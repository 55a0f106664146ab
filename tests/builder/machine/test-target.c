/* Targets: which machines there are for which architecture, and what is said where one is not. QEMU's programs are the
 * test's own: nothing boots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "machine/board.h"
#include "machine/firmware.h"
#include "machine/target.h"

static IngotWorkdir *workdir;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    g_setenv("PATH", workdir == NULL ? "" : ingot_workdir_path(workdir), TRUE);
    return workdir == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(workdir);
    return 0;
}

static void install(const char *program)
{
    g_autofree char *path = ingot_workdir_file(workdir, program);
    assert_true(ingot_file_replace(path, "", 0, 0755, NULL));
    assert_int_equal(chmod(path, 0755), 0);
}

static void assert_refused(const char *architecture, const char *words)
{
    g_autoptr(GError) error = NULL;
    assert_null(target_find(architecture, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, words));
}

static void an_architecture_needs_its_qemu(void **state)
{
    static const struct {
        const char *architecture, *qemu, *package;
    } cases[] = {{"amd64", "qemu-system-x86_64", "apt-get install qemu-system-x86"},
                 {"i386", "qemu-system-x86_64", "apt-get install qemu-system-x86"},
                 {NULL, "qemu-system-x86_64", "apt-get install qemu-system-x86"},
                 {"arm64", "qemu-system-aarch64", "apt-get install qemu-system-arm"}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *program = ingot_workdir_file(workdir, cases[i].qemu);
        remove(program);
        assert_refused(cases[i].architecture, cases[i].package);
        install(cases[i].qemu);
        const MachineTarget *target = target_find(cases[i].architecture, NULL);
        assert_non_null(target);
        assert_string_equal(target->qemu, cases[i].qemu);
        assert_int_equal(target->pc, strcmp(cases[i].qemu, MACHINE_QEMU) == 0);
    }
    assert_refused("s390x", "no machine for the architecture s390x: those of amd64, i386, arm64 are there");
    assert_refused("", "no machine for the architecture");
}

/* This host runs one of them, or, being of another kind, none. */
static void a_processor_runs_its_own(void **state)
{
    struct utsname host;
    (void)state;
    install("qemu-system-x86_64");
    install("qemu-system-aarch64");
    assert_int_equal(uname(&host), 0);
    assert_int_equal(target_is_host(target_find("amd64", NULL)), strcmp(host.machine, "x86_64") == 0);
    assert_int_equal(target_is_host(target_find("i386", NULL)), strcmp(host.machine, "x86_64") == 0);
    assert_int_equal(target_is_host(target_find("arm64", NULL)), strcmp(host.machine, "aarch64") == 0);
}

static void another_processors_code_is_emulated(void **state)
{
    MachineAccel accel;
    const char *code;
    g_autoptr(GError) error = NULL;
    (void)state;
    install("qemu-system-x86_64");
    install("qemu-system-aarch64");
    const char *foreign = target_is_host(target_find("arm64", NULL)) ? "amd64" : "arm64";
    assert_false(machine_accel_of(foreign, "kvm", NULL, &accel, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, "--accel kvm: this machine's processor does not run "));
    g_clear_error(&error);
    assert_false(machine_accel_of("s390x", NULL, NULL, &accel, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    g_clear_error(&error);
    /* It is the machine's own firmware that it needs. */
    gboolean has_firmware = strcmp(foreign, "arm64") != 0 || firmware_prepare("arm64", NULL, &code, NULL);
    assert_int_equal(machine_accel_of(foreign, "auto", NULL, &accel, &error), has_firmware);
    if (has_firmware) {
        assert_int_equal(accel, MACHINE_TCG);
    } else {
        assert_non_null(strstr(error->message, "apt-get install qemu-efi-aarch64"));
    }
    g_clear_error(&error);
    assert_false(firmware_prepare("s390x", NULL, &code, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

static gboolean has_argument(const GPtrArray *argv, const char *argument)
{
    return g_ptr_array_find_with_equal_func((GPtrArray *)argv, argument, g_str_equal, NULL);
}

/* A PC's devices are a PC's; the others get those of the bus that they have. */
static void a_board_has_what_its_target_has(void **state)
{
    static const struct {
        const char *architecture, *qemu, *board, *panics, *generation;
    } cases[] = {{NULL, "qemu-system-x86_64", "q35,smm=off", "pvpanic", "vmgenid,guid=auto"},
                 {"arm64", "qemu-system-aarch64", "virt", "pvpanic-pci", NULL}};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *code;
        g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(MachineDrive));
        const BoardPlaces places = {"console", "qmp", "shell", none, none};
        const MachineOptions options = {.architecture = cases[i].architecture,
                                        .cpus = 1,
                                        .memory = 64 << 20,
                                        .folder = ingot_workdir_path(workdir)};
        install(cases[i].qemu);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) argv = board_arguments(&options, &places, &error);
        if (cases[i].generation == NULL && !firmware_prepare("arm64", NULL, &code, NULL)) {
            assert_null(argv);
            assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
            continue;
        }
        assert_non_null(argv);
        g_ptr_array_set_size(argv, (gint)argv->len - 1); /* its end */
        assert_string_equal(g_ptr_array_index(argv, 0), cases[i].qemu);
        assert_true(has_argument(argv, cases[i].board) && has_argument(argv, cases[i].panics));
        assert_int_equal(has_argument(argv, "vmgenid,guid=auto"), cases[i].generation != NULL);
        assert_int_equal(has_argument(argv, "-drive"), i == 1); /* of firmware */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_architecture_needs_its_qemu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_processor_runs_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_processors_code_is_emulated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_board_has_what_its_target_has, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
