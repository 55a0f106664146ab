/* A machine's memory on its way to the file and back, with a QEMU that refuses, falls silent or ends at every point:
 * nothing hangs, and only a damaged file counts as damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <signal.h>
#include <sys/statvfs.h>

#include "../machine/fake.h"
#include "base/process.h"
#include "cache/checksum.h"
#include "cache/memory.h"

#define STATE (8u << 20) /* bytes: more than a pipe holds */

static char *memory_file(void)
{
    return ingot_workdir_file(fake_workdir, "memory.zst");
}

/* A saved state of STATE bytes; *checksum: the file's. */
static char *saved(char **checksum)
{
    char *path = memory_file();
    unlink(path);
    g_autofree char *behaviour = g_strdup_printf("{\"state\": %u}", STATE);
    g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
    g_autoptr(GError) error = NULL;
    assert_true(memory_save(machine, path, &error));
    *checksum = checksum_of_file(path, FALSE, NULL);
    return path;
}

static void a_state_comes_back_whole(void **state)
{
    (void)state;
    g_autofree char *checksum = NULL;
    g_autofree char *path = saved(&checksum);
    g_autoptr(Machine) machine = fake_start("{\"status\": \"inmigrate\"}", TRUE);
    fake_forget();
    assert_true(memory_load(machine, path, checksum, NULL));
    g_autofree char *read = g_strdup_printf("read %u", STATE);
    assert_true(fake_heard(read));
}

/* By way of a spool: the guest may go on, or end, before it is compressed, and the file is the same. */
static void a_spooled_state_is_the_same(void **state)
{
    (void)state;
    g_autofree char *checksum = NULL;
    g_autofree char *path = saved(&checksum);
    g_autofree char *behaviour = g_strdup_printf("{\"state\": %u, \"finalizing\": 5}", STATE);
    Machine *machine = fake_start(behaviour, FALSE);
    g_autoptr(GError) error = NULL;
    g_auto(IngotFd) spool = memory_spool(machine, STATE, ingot_workdir_path(fake_workdir), &error);
    assert_true(spool >= 0);
    assert_true(machine_continue(machine, NULL));
    machine_free(machine);
    assert_int_equal(unlink(path), 0);
    assert_true(memory_compress(spool, path, &error));
    g_autofree char *spooled = checksum_of_file(path, FALSE, NULL);
    assert_string_equal(spooled, checksum);
    g_autoptr(Machine) other = fake_start("{\"status\": \"inmigrate\"}", TRUE);
    fake_forget();
    assert_true(memory_load(other, path, checksum, NULL));
    g_autofree char *read = g_strdup_printf("read %u", STATE);
    assert_true(fake_heard(read));
}

/* The guest would write the disk full, and be stopped for that. */
static void a_spool_leaves_room_for_the_guest(void **state)
{
    g_autoptr(GError) error = NULL;
    struct statvfs room;
    (void)state;
    g_autoptr(Machine) machine = fake_start("{}", FALSE);
    fake_forget();
    assert_int_equal(statvfs(ingot_workdir_path(fake_workdir), &room), 0);
    guint64 half = (guint64)room.f_bavail * room.f_frsize / 2;
    assert_int_equal(memory_spool(machine, half, ingot_workdir_path(fake_workdir), &error), -1);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE));
    assert_false(fake_heard("migrate"));
}

/* Nothing is left of a file that the spool could not become, and the guest of a spool that failed may go on. */
static void what_fails_on_the_way_of_a_spool_leaves_nothing(void **state)
{
    (void)state;
    g_autofree char *path = memory_file();
    g_autoptr(Machine) machine = fake_start("{\"refuse\": [\"migrate\"]}", FALSE);
    g_autoptr(GError) refused = NULL, nowhere = NULL, unread = NULL;
    assert_int_equal(memory_spool(machine, STATE, ingot_workdir_path(fake_workdir), &refused), -1);
    assert_non_null(strstr(refused->message, "not today"));
    assert_true(machine_continue(machine, NULL));
    assert_int_equal(memory_spool(machine, STATE, "/nonexistent", &nowhere), -1);
    assert_non_null(nowhere);
    unlink(path);
    g_auto(IngotFd) folder = ingot_file_open("/", O_RDONLY | O_DIRECTORY, 0, NULL);
    assert_false(memory_compress(folder, path, &unread));
    assert_non_null(strstr(unread->message, "cannot read"));
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static const char *const save_commands[] = {"migrate-set-parameters", "migrate-set-capabilities", "getfd", "migrate"};

static void a_refusal_ends_the_save(void **state)
{
    (void)state;
    g_autofree char *path = memory_file();
    for (guint i = 0; i < G_N_ELEMENTS(save_commands); i++) {
        unlink(path);
        g_autofree char *behaviour = g_strdup_printf("{\"refuse\": [\"%s\"]}", save_commands[i]);
        g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
        g_autoptr(GError) error = NULL;
        fake_forget();
        assert_false(memory_save(machine, path, &error));
        assert_non_null(strstr(error->message, "not today"));
        assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
        assert_int_equal(fake_heard("closefd"), strcmp(save_commands[i], "migrate") == 0);
        assert_true(machine_continue(machine, NULL)); /* the guest may go on */
    }
}

static void an_end_ends_the_save(void **state)
{
    (void)state;
    g_autofree char *path = memory_file();
    for (guint i = 0; i < G_N_ELEMENTS(save_commands); i++) {
        unlink(path);
        g_autofree char *behaviour = g_strdup_printf("{\"die\": [\"%s\"]}", save_commands[i]);
        g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
        g_autoptr(GError) error = NULL;
        assert_false(memory_save(machine, path, &error));
        assert_non_null(strstr(error->message, "out of luck"));
    }
}

static void silence_ends_the_save(void **state)
{
    (void)state;
    g_autofree char *path = memory_file();
    for (guint i = 0; i < G_N_ELEMENTS(save_commands); i++) {
        unlink(path);
        g_autofree char *behaviour = g_strdup_printf("{\"silent\": [\"%s\"]}", save_commands[i]);
        g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
        g_autoptr(GError) error = NULL;
        qmp_set_limit(machine->qmp, 200);
        assert_false(memory_save(machine, path, &error));
        assert_non_null(strstr(error->message, "has not answered"));
        assert_non_null(strstr(error->message, save_commands[i]));
    }
}

static void a_slow_migration_has_no_limit(void **state)
{
    (void)state;
    g_autofree char *path = memory_file();
    unlink(path);
    g_autofree char *behaviour = g_strdup_printf("{\"state\": %u}", 4 * STATE);
    g_autoptr(Machine) machine = fake_start(behaviour, FALSE);
    qmp_set_limit(machine->qmp, 100); /* for the answers: the fake takes far longer for its bytes */
    assert_true(memory_save(machine, path, NULL));
}

static void a_refusal_leaves_the_file_in_good_standing(void **state)
{
    (void)state;
    static const char *const behaviours[] = {
        "{\"refuse\": [\"migrate-incoming\"]}",
        "{\"die\": [\"migrate-incoming\"]}",
        "{\"refuse\": [\"getfd\"]}",
        "{\"reads\": 0}",
        "{\"reads\": 100000}",
        "{\"reads\": 8388608}",
    };
    g_autofree char *checksum = NULL;
    g_autofree char *path = saved(&checksum);
    for (guint i = 0; i < G_N_ELEMENTS(behaviours); i++) {
        g_autoptr(Machine) machine = fake_start(behaviours[i], TRUE);
        g_autoptr(GError) error = NULL;
        assert_false(memory_load(machine, path, checksum, &error));
        assert_false(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    }
}

static void flip(const char *path, goffset at)
{
    g_autofree char *bytes = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    bytes[at < 0 ? (goffset)size + at : at] ^= 1;
    assert_true(ingot_file_replace(path, bytes, size, 0600, NULL));
}

/* Whatever QEMU makes of it. */
static void damage_is_always_told(void **state)
{
    (void)state;
    static const char *const behaviours[] = {"{}", "{\"reads\": 0}", "{\"refuse\": [\"migrate-incoming\"]}"};
    static const goffset places[] = {0, 200, -1};
    g_autofree char *checksum = NULL;
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *path = saved(&checksum);
        flip(path, places[i]);
        for (guint k = 0; k < G_N_ELEMENTS(behaviours); k++) {
            g_autoptr(Machine) machine = fake_start(behaviours[k], TRUE);
            g_autoptr(GError) error = NULL;
            assert_false(memory_load(machine, path, checksum, &error));
            assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        }
        g_clear_pointer(&checksum, g_free);
    }
}

static gpointer interrupt_soon(gpointer unused)
{
    (void)unused;
    g_usleep(G_USEC_PER_SEC / 2);
    kill(getpid(), SIGINT);
    return NULL;
}

/* The last test: from then on everything is interrupted. */
static void ctrl_c_ends_a_migration(void **state)
{
    (void)state;
    g_autofree char *path = memory_file();
    unlink(path);
    ingot_interrupt_install();
    g_autoptr(Machine) machine = fake_start("{\"hangs\": true}", FALSE);
    g_autoptr(GError) error = NULL;
    GThread *thread = g_thread_new("interrupt", interrupt_soon, NULL);
    gint64 began = g_get_monotonic_time();
    assert_false(memory_save(machine, path, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    assert_true(g_get_monotonic_time() - began < 30 * G_USEC_PER_SEC);
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_thread_join(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spooled_state_is_the_same),
        cmocka_unit_test(a_spool_leaves_room_for_the_guest),
        cmocka_unit_test(what_fails_on_the_way_of_a_spool_leaves_nothing),
        cmocka_unit_test(a_state_comes_back_whole),
        cmocka_unit_test(a_refusal_ends_the_save),
        cmocka_unit_test(an_end_ends_the_save),
        cmocka_unit_test(silence_ends_the_save),
        cmocka_unit_test(a_slow_migration_has_no_limit),
        cmocka_unit_test(a_refusal_leaves_the_file_in_good_standing),
        cmocka_unit_test(damage_is_always_told),
        cmocka_unit_test(ctrl_c_ends_a_migration),
    };
    return cmocka_run_group_tests(tests, fake_set_up, fake_tear_down);
}
