/* A cache that was moved is still what it was: its nodes stand on what was moved with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "cache/draft.h"
#include "cache/nodes.h"
#include "cache/place.h"
#include "machine/overlay.h"

#define SOURCE "sources/from-1/disk.raw"

static int setup(void **state)
{
    *state = ingot_workdir_new(NULL);
    return *state == NULL;
}

static int teardown(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static char *in(const char *cache, const char *path)
{
    return g_build_filename(cache, path, NULL);
}

static void write_file(const char *path, gsize size)
{
    g_autofree char *folder = g_path_get_dirname(path), *zeros = g_malloc0(size);
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(ingot_file_replace(path, zeros, size, 0600, NULL));
}

static void paths_are_told_from_within(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"/c", "/c/sources/a/disk.raw", "sources/a/disk.raw"},
        {"/c", "/cc/disk.raw", "/cc/disk.raw"},
        {"/c", "/elsewhere/disk.raw", "/elsewhere/disk.raw"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *told = place_tell(rows[i][0], rows[i][1]), *found = place_find(rows[i][0], told);
        assert_string_equal(told, rows[i][2]);
        assert_string_equal(found, rows[i][1]);
    }
}

/* A link in the middle would lead ".." astray: then the path is absolute. */
static void what_a_link_hides_is_named_as_it_is(void **state)
{
    g_autofree char *cache = ingot_workdir_file(*state, "cache"), *away = ingot_workdir_file(*state, "far/away/nodes");
    g_autofree char *nodes = in(cache, "nodes"), *source = in(cache, SOURCE), *layer = in(cache, "nodes/a/disk.qcow2");
    g_autofree char *there = g_build_filename(away, "a/disk.qcow2", NULL);
    write_file(source, 512);
    write_file(there, 512);
    g_autofree char *outside = place_beneath(cache, layer, "/elsewhere/disk.raw");
    assert_string_equal(outside, "/elsewhere/disk.raw");
    assert_int_equal(symlink(away, nodes), 0);
    g_autofree char *named = place_beneath(cache, layer, source);
    assert_string_equal(named, source);
    g_unlink(nodes);
    write_file(layer, 512);
    g_autofree char *relative = place_beneath(cache, layer, source);
    assert_string_equal(relative, "../../" SOURCE);
}

/* A node on the source or on another one, kept from a work folder. */
static char *keep(const char *cache, const char *workdir, const char *below)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(NodeDraft) draft = draft_new(cache, workdir, &error);
    assert_non_null(draft);
    g_autofree char *layer = draft_layer(draft, NODE_DISK), *source = in(cache, SOURCE);
    g_autofree char *disk = below == NULL ? g_strdup(source) : g_build_filename(cache, "nodes", below, NODE_DISK, NULL);
    g_autofree char *backing = draft_backing(draft, layer, disk);
    assert_true(overlay_create(layer, backing, below == NULL ? "raw" : "qcow2", 0, &error));
    g_autoptr(Node) node = node_new();
    NodeRun run = {.id = (char *)"0", .title = (char *)"one"};
    node->source = g_strdup(source);
    node->below = g_strdup(below);
    g_ptr_array_add(node->runs, node_run_copy(&run));
    assert_true(draft_publish(draft, node, &error));
    return g_strdup(draft_name(draft));
}

static void assert_stands(const char *cache, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_build_filename(cache, "nodes", name, NULL), *source = in(cache, SOURCE);
    g_autoptr(Node) node = node_read(folder, &error);
    assert_non_null(node);
    assert_string_equal(node->source, source);
    g_autofree char *disk = node_file(node, NODE_DISK);
    const char *const argv[] = {"qemu-img", "info", "--backing-chain", disk, NULL};
    g_autofree char *chain = ingot_process_output(argv, &error);
    if (chain == NULL) {
        fail_msg("%s", error->message);
    }
    g_autoptr(GPtrArray) nodes = nodes_list(cache, NULL);
    for (guint i = 0; i < nodes->len; i++) {
        assert_true(((const Node *)g_ptr_array_index(nodes, i))->whole);
    }
}

/* The work folder lies on the cache's file system, or on another one, from which layers are copied. */
static void a_cache_may_be_moved(void **state)
{
    g_autofree char *memory = g_strdup("/dev/shm/ingot-XXXXXX");
    const char *workdirs[] = {ingot_workdir_path(*state), g_mkdtemp(memory)};
    for (gsize i = 0; i < G_N_ELEMENTS(workdirs) && workdirs[i] != NULL; i++) {
        g_autofree char *before = ingot_workdir_file(*state, "before"), *after = ingot_workdir_file(*state, "after");
        g_autofree char *source = in(before, SOURCE);
        write_file(source, 1 << 20);
        g_autofree char *first = keep(before, workdirs[i], NULL), *second = keep(before, workdirs[i], first);
        assert_stands(before, second);
        assert_int_equal(g_rename(before, after), 0);
        assert_stands(after, first);
        assert_stands(after, second);
        assert_true(ingot_file_remove_tree(after, NULL));
    }
    ingot_file_remove_tree(memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_told_from_within),
        cmocka_unit_test_setup_teardown(what_a_link_hides_is_named_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cache_may_be_moved, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
