/* How much of the host a build may use, on hosts and in containers that are made up of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "graph/room.h"

#define GIB (1ull << 30)

static char *folder;
static RoomPlaces places;

static void put(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *above = g_path_get_dirname(path);
    assert_true(ingot_file_make_folder(above, NULL));
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static int set_up(void **state)
{
    (void)state;
    folder = g_dir_make_tmp("ingot-room-XXXXXX", NULL);
    places = (RoomPlaces){.meminfo = g_build_filename(folder, "meminfo", NULL),
                          .self = g_build_filename(folder, "self", NULL),
                          .groups = g_build_filename(folder, "groups", NULL)};
    put("meminfo", "MemTotal:       33554432 kB\nMemFree:        1 kB\nMemAvailable:   16777216 kB\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_file_remove_tree(folder, NULL);
    g_free((char *)places.meminfo);
    g_free((char *)places.self);
    g_free((char *)places.groups);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static void expect(guint64 memory, guint processors)
{
    assert_int_equal(room_memory(&places), memory);
    assert_int_equal(room_processors(&places, 8), processors);
}

static void without_groups_the_host_is_the_limit(void **state)
{
    (void)state;
    expect(16 * GIB, 8);
    put("self", "0::/user.slice\n");
    put("groups/user.slice/memory.max", "max\n");
    put("groups/user.slice/memory.current", "1073741824\n");
    put("groups/user.slice/cpu.max", "max 100000\n");
    expect(16 * GIB, 8);
}

static void every_group_above_limits(void **state)
{
    (void)state;
    put("self", "0::/ci/job\n");
    put("groups/ci/memory.max", "4294967296\n");
    put("groups/ci/memory.current", "3221225472\n");
    put("groups/ci/memory.stat", "anon 1073741824\nactive_file 5\ninactive_file 1073741824\n");
    put("groups/ci/job/memory.max", "17179869184\n");
    put("groups/ci/job/memory.current", "1073741824\n");
    put("groups/ci/job/cpu.max", "250000 100000\n");
    expect(2 * GIB, 3);
    put("groups/ci/cpu.max", "50000 100000\n");
    put("groups/ci/memory.current", "9294967296\n");
    expect(0, 1);
}

/* The group's path may be one of the host, or lie outside of what the container sees. */
static void a_containers_own_folder_is_the_topmost(void **state)
{
    static const char *const lines[] = {"0::/\n", "0::/docker/0123\n", "0::/../../elsewhere\n"};
    (void)state;
    put("groups/memory.max", "2147483648\n");
    put("groups/memory.current", "1073741824\n");
    put("groups/cpu.max", "200000 100000\n");
    for (guint i = 0; i < G_N_ELEMENTS(lines); i++) {
        put("self", lines[i]);
        expect(GIB, 2);
    }
}

static void the_first_version_limits_too(void **state)
{
    (void)state;
    put("self", "5:cpu,cpuacct:/job\n4:memory:/job\n3:cpuset:/\nnonsense\n0::/\n");
    put("groups/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("groups/memory/job/memory.limit_in_bytes", "3221225472\n");
    put("groups/memory/job/memory.usage_in_bytes", "2147483648\n");
    put("groups/memory/job/memory.stat", "inactive_file 7\ntotal_inactive_file 1073741824\n");
    put("groups/cpu/cpu.cfs_quota_us", "-1\n");
    put("groups/cpu/cpu.cfs_period_us", "100000\n");
    put("groups/cpu/job/cpu.cfs_quota_us", "400000\n");
    put("groups/cpu/job/cpu.cfs_period_us", "100000\n");
    expect(2 * GIB, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_groups_the_host_is_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_group_above_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_containers_own_folder_is_the_topmost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_version_limits_too, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
