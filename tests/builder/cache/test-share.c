/* Nodes that go through a registry: a real ingotd, whole nodes, and never parts of two. */
#include "registry.h"

static ShareState push(const Fixture *f, const Node *node)
{
    const Share share = share_of(f, f->sample->cache);
    g_autoptr(GError) error = NULL;
    ShareState state = share_push(&share, f->plan, node, &error);
    if (error != NULL) {
        fail_msg("%s", error->message);
    }
    return state;
}

/* Into a cache of that name, by a machine of that fingerprint. */
static ShareState pull_as(const Fixture *f, const char *cache, const char *fingerprint, GError **error)
{
    g_autofree char *path = sample_path(f->sample, cache);
    const Share share = share_of(f, path);
    const Recipe *recipe = g_ptr_array_index(f->sample->recipes, 0);
    return share_pull(&share, recipe, f->plan, 2, f->sample->source, fingerprint, error);
}

static ShareState pull(const Fixture *f, const char *cache, GError **error)
{
    return pull_as(f, cache, FINGERPRINT, error);
}

/* The node of a cache is whole, and all of it is of that text. */
static void expect_node(const Fixture *f, const char *cache, const char *text)
{
    g_autofree char *path = sample_path(f->sample, cache);
    g_autoptr(GPtrArray) nodes = nodes_list(path, NULL);
    assert_int_equal(nodes->len, 1);
    const Node *node = g_ptr_array_index(nodes, 0);
    const char *const files[] = {NODE_MEMORY, MACHINE_VARIABLES};
    assert_true(node->whole && node_verify(node, NULL));
    assert_int_equal(json_object_size(node->files), 3);
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *file = node_file(node, files[i]), *found = NULL;
        g_autofree char *wanted = g_strdup_printf("%s of %s", files[i], text);
        assert_true(g_file_get_contents(file, &found, NULL, NULL));
        assert_string_equal(found, wanted);
    }
    g_autofree char *disk = node_file(node, NODE_DISK), *raw = sample_path(f->sample, "back.raw"), *bytes = NULL;
    const char *const convert[] = {"qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", disk, raw, NULL};
    gsize size;
    assert_true(ingot_process_run(convert, NULL, NULL, NULL));
    assert_true(g_file_get_contents(raw, &bytes, &size, NULL));
    assert_int_equal(size, 1 << 20);
    assert_int_equal(bytes[size / 2], text[0]);
}

/* The last one, to be changed. */
static NodeRun *node_run_of(Node *node)
{
    return g_ptr_array_index(node->runs, node->runs->len - 1);
}

static void expect_no_node(const Fixture *f, const char *cache)
{
    g_autofree char *path = sample_path(f->sample, cache);
    g_autoptr(GPtrArray) nodes = nodes_list(path, NULL);
    assert_int_equal(nodes->len, 0);
}

/* --- whole nodes --- */

static void a_node_comes_back_whole(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    assert_int_equal(pull(f, "fresh", NULL), SHARE_NONE);
    assert_int_equal(push(f, node), SHARE_DONE);
    assert_int_equal(pull(f, "fresh", NULL), SHARE_DONE);
    expect_node(f, "fresh", "first");
    g_autofree char *path = sample_path(f->sample, "fresh");
    g_autoptr(GPtrArray) nodes = nodes_list(path, NULL);
    const Node *back = g_ptr_array_index(nodes, 0);
    assert_string_equal(back->fingerprint, FINGERPRINT);
    assert_null(back->below);
    assert_int_equal(back->runs->len, 3);
    assert_int_equal(node_run(back)->ran, f->now - RECENT);
    g_autoptr(GPtrArray) names = ingot_store_list(f->store, NULL);
    assert_int_equal(names->len, 0); /* it has only passed through */
}

static void a_machine_of_another_kind_takes_none(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    assert_int_equal(push(f, node), SHARE_DONE);
    assert_int_equal(pull_as(f, "fresh", "board 1; qemu 11", NULL), SHARE_NONE);
    expect_no_node(f, "fresh");
}

/* --- what is damaged here --- */

static void damage(const Node *node, const char *name)
{
    g_autofree char *path = node_file(node, name);
    assert_true(g_file_set_contents(path, "damaged", -1, NULL));
}

static void a_damaged_node_is_not_pushed(void **state)
{
    static const char *const names[] = {NODE_DISK, NODE_MEMORY, MACHINE_VARIABLES};
    const Fixture *f = *state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(Node) node = keep(f, names[i], f->now - RECENT, "first");
        damage(node, names[i]);
        const Share share = share_of(f, f->sample->cache);
        g_autoptr(GError) error = NULL;
        assert_int_equal(share_push(&share, f->plan, node, &error), SHARE_DAMAGED);
        assert_non_null(strstr(error->message, names[i]));
        assert_int_equal(pull(f, "fresh", NULL), SHARE_NONE);
        assert_true(nodes_remove(node->folder)); /* nobody holds it any more */
    }
}

static void what_the_registry_has_is_not_read_here(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    assert_int_equal(push(f, node), SHARE_DONE);
    damage(node, NODE_DISK);
    assert_int_equal(push(f, node), SHARE_NONE);
}

static void a_node_that_was_evicted_is_passed_over(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    assert_true(nodes_remove(node->folder));
    assert_int_equal(push(f, node), SHARE_NONE);
}

/* --- newer and older --- */

static void a_later_run_replaces_an_earlier_one(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) first = keep(f, "first", f->now - 2 * RECENT, "first");
    g_autoptr(Node) second = keep(f, "second", f->now - RECENT, "second");
    assert_int_equal(push(f, first), SHARE_DONE);
    assert_int_equal(push(f, first), SHARE_NONE);
    assert_int_equal(push(f, second), SHARE_DONE);
    assert_int_equal(push(f, first), SHARE_NONE);
    assert_int_equal(pull(f, "fresh", NULL), SHARE_DONE);
    expect_node(f, "fresh", "second");
}

static void a_node_that_is_too_old_is_not_taken_but_replaced(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) old = keep(f, "old", f->now - 7200, "old");
    g_autoptr(Node) new = keep(f, "new", f->now - RECENT, "new");
    assert_int_equal(push(f, old), SHARE_DONE);
    assert_int_equal(pull(f, "fresh", NULL), SHARE_NONE);
    assert_int_equal(push(f, new), SHARE_DONE);
    assert_int_equal(pull(f, "fresh", NULL), SHARE_DONE);
    expect_node(f, "fresh", "new");
}

/* A step that was run again here: what stands on its earlier run would be fetched by every build, and used by none. */
static void a_node_of_an_earlier_run_than_here_is_not_fetched(void **state)
{
    static const struct {
        const char *here;
        gint64 age;
        ShareState fetched;
    } cases[] = {
        {"ab", RECENT, SHARE_NONE},     /* refreshed since */
        {"ab", 3 * RECENT, SHARE_DONE}, /* an earlier run */
        {"aa", 2 * RECENT, SHARE_DONE}, /* the very runs that it stands on */
    };
    const Fixture *f = *state;
    g_autoptr(Node) pushed = keep(f, "pushed", f->now - 2 * RECENT, "pushed");
    assert_int_equal(push(f, pushed), SHARE_DONE);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_true(ingot_file_remove_tree(f->sample->cache, NULL));
        g_autoptr(Node) here = keep_after(f, cases[i].here, "here", f->now - cases[i].age, "here");
        g_autoptr(GError) error = NULL;
        assert_int_equal(pull(f, "cache", &error), cases[i].fetched);
        assert_null(error);
        g_autoptr(GPtrArray) nodes = nodes_list(f->sample->cache, NULL);
        assert_int_equal(nodes->len, cases[i].fetched == SHARE_DONE ? 2 : 1);
    }
}

/* --- what is not one node --- */

/* As if two pushes had mixed: every blob is whole, and yet a page cache would lie over a disk that it does not know. */
static void memory_of_another_run_is_refused(void **state)
{
    const Fixture *f = *state;
    for (guint layer = 2; layer < 4; layer++) {
        g_autofree char *cache = g_strdup_printf("fresh-%u", layer);
        g_autoptr(Node) first = keep(f, "first", f->now - 3 * RECENT + layer, "first");
        assert_int_equal(push(f, first), SHARE_DONE);
        g_autoptr(json_t) one = get_manifest(f, 2);
        g_autoptr(Node) second = keep(f, "second", f->now - RECENT + layer, "second");
        assert_int_equal(push(f, second), SHARE_DONE);
        g_autoptr(json_t) other = get_manifest(f, 2);
        json_array_set(json_object_get(other, "layers"), layer, json_array_get(json_object_get(one, "layers"), layer));
        put_manifest(f, 2, other);
        g_autoptr(GError) error = NULL;
        assert_int_equal(pull(f, cache, &error), SHARE_FAILED);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        expect_no_node(f, cache);
        g_autoptr(GPtrArray) names = ingot_store_list(f->store, NULL);
        assert_int_equal(names->len, 0);
        put_manifest(f, 2, one); /* for the next turn an older one is there */
    }
}

/* A registry may claim any size: neither memory nor requests are spent on it. */
static void a_size_that_no_machine_needs_is_refused(void **state)
{
    static const json_int_t sizes[] = {G_MAXINT64, (json_int_t)16 << 40, (json_int_t)17 << 20};
    static const guint layers[] = {2, 2, 3}; /* memory, memory, variables */
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    assert_int_equal(push(f, node), SHARE_DONE);
    g_autoptr(json_t) good = get_manifest(f, 2);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(json_t) manifest = json_deep_copy(good);
        json_t *layer = json_array_get(json_object_get(manifest, "layers"), layers[i]);
        set_size(layer, sizes[i]);
        put_manifest(f, 2, manifest);
        g_autoptr(GError) error = NULL;
        assert_int_equal(pull(f, "fresh", &error), SHARE_FAILED);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "at most"));
        expect_no_node(f, "fresh");
    }
}

/* As Ingots have pushed it that kept the memory under a tag of its own. */
static void a_node_without_its_memory_is_none(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    assert_int_equal(push(f, node), SHARE_DONE);
    g_autoptr(json_t) manifest = get_manifest(f, 2);
    json_array_remove(json_object_get(manifest, "layers"), 2);
    put_manifest(f, 2, manifest);
    assert_int_equal(pull(f, "fresh", NULL), SHARE_NONE);
    assert_int_equal(push(f, node), SHARE_DONE);
    assert_int_equal(pull(f, "fresh", NULL), SHARE_DONE);
    expect_node(f, "fresh", "first");
}

/* --- what a killed share left --- */

/* A name in the store, of an image with that under "node" (NULL: nothing), or of one whose config can't be read. */
static void add_image(const Fixture *f, const char *where, const char *tag, json_t *node, gboolean readable)
{
    g_autofree char *name = g_strdup_printf("%s/%s", f->where->host, where);
    g_autofree char *path = sample_path(f->sample, "left.raw"), *bytes = g_strnfill(1 << 20, 'l');
    assert_true(g_file_set_contents(path, bytes, 1 << 20, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, "raw", NULL);
    IngotPackOptions options = {0};
    g_autoptr(IngotPacked) packed = ingot_store_pack(f->store, blocks, &options, NULL);
    assert_non_null(packed);
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    if (node != NULL) {
        json_object_set_new(config, "node", node);
    }
    if (!readable) {
        json_object_del(config, "version");
    }
    IngotDescriptor manifest;
    assert_true(ingot_store_add_image(f->store, name, tag, config, NULL, &disk, 1, &manifest, NULL));
}

static void add_name(const Fixture *f, const char *where, const char *tag, gboolean node)
{
    add_image(f, where, tag, node ? json_object() : NULL, TRUE);
}

static guint count_names(const Fixture *f)
{
    g_autoptr(GPtrArray) names = ingot_store_list(f->store, NULL);
    return names->len;
}

/* By tag, as a push names a node, and by digest, as a pull does. An image beside them, or elsewhere, stays. */
static void names_that_a_killed_share_left_are_removed(void **state)
{
    const Fixture *f = *state;
    g_autofree char *tag = g_strnfill(64, 'a');
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    for (guint i = 0; i < 2; i++) {
        add_name(f, "team/nodes", tag, TRUE);
        add_name(f, "team/nodes", NULL, TRUE);
        add_name(f, "team/nodes", "1.0.0", FALSE);
        add_name(f, "team/other", tag, TRUE);
        assert_int_equal(count_names(f), 4);
        if (i == 0) {
            assert_int_equal(push(f, node), SHARE_DONE);
        } else {
            assert_int_equal(pull(f, "fresh", NULL), SHARE_DONE);
        }
        assert_int_equal(count_names(f), 2);
    }
}

static void a_name_that_nobody_can_read_is_removed(void **state)
{
    const Fixture *f = *state;
    g_autofree char *tag = g_strnfill(64, 'a');
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    add_image(f, "team/nodes", tag, NULL, FALSE);
    add_image(f, "team/nodes", "1.0.0", NULL, FALSE);
    assert_int_equal(push(f, node), SHARE_DONE);
    assert_int_equal(count_names(f), 1);
}

/* So many files that a step downloaded; each with that many bytes in its name. */
static json_t *made_of(guint count, gsize length)
{
    json_t *made = json_object();
    g_autofree char *name = g_strnfill(length, 'n'), *checksum = g_strnfill(64, '0');
    for (guint i = 0; i < count; i++) {
        g_autofree char *path = g_strdup_printf("/out/%u-%s", i, name);
        json_object_set_new(
            made, path, json_pack("{s:s, s:b, s:[i, i, i]}", "checksum", checksum, "link", FALSE, "quick", 1, 2, 3));
    }
    return made;
}

static void a_node_whose_steps_made_many_files_is_shared(void **state)
{
    const Fixture *f = *state;
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    json_decref(node_run_of(node)->made);
    node_run_of(node)->made = made_of(50000, 1);
    assert_int_equal(push(f, node), SHARE_DONE);
    assert_int_equal(push(f, node), SHARE_NONE); /* its record can be read there */
}

/* The build hears of it, and the store does not keep its disk. */
static void a_node_that_is_too_large_to_describe_leaves_nothing(void **state)
{
    const Fixture *f = *state;
    const Share share = share_of(f, f->sample->cache);
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    g_autoptr(GError) error = NULL;
    json_decref(node_run_of(node)->made);
    node_run_of(node)->made = made_of(20, 1 << 20);
    assert_int_equal(share_push(&share, f->plan, node, &error), SHARE_FAILED);
    assert_non_null(error);
    assert_int_equal(count_names(f), 0);
}

/* Which may be another cache's, through the same store. */
static void names_of_a_share_that_is_under_way_stay(void **state)
{
    const Fixture *f = *state;
    g_autofree char *tag = g_strnfill(64, 'a');
    g_autofree char *path = g_build_filename(ingot_store_path(f->store), ".share.lock", NULL);
    g_autoptr(Node) node = keep(f, "node", f->now - RECENT, "first");
    add_name(f, "team/nodes", tag, TRUE);
    g_autoptr(IngotLock) other = ingot_lock_take(path, FALSE, FALSE, NULL);
    assert_non_null(other);
    assert_int_equal(push(f, node), SHARE_DONE);
    assert_int_equal(count_names(f), 1);
}

static void a_registry_that_is_not_there_has_not_answered(void **state)
{
    const Fixture *f = *state;
    gboolean answered = FALSE;
    Share share = share_of(f, f->sample->cache);
    share.answered = &answered;
    const Recipe *recipe = g_ptr_array_index(f->sample->recipes, 0);
    assert_int_equal(share_pull(&share, recipe, f->plan, 2, f->sample->source, FINGERPRINT, NULL), SHARE_NONE);
    assert_true(answered);
    g_autoptr(IngotReference) nowhere = ingot_reference_new("127.0.0.1:1", "team/nodes", NULL, NULL);
    g_autoptr(GError) error = NULL;
    answered = FALSE;
    share.where = nowhere;
    assert_int_equal(share_pull(&share, recipe, f->plan, 2, f->sample->source, FINGERPRINT, &error), SHARE_FAILED);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
    assert_false(answered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_comes_back_whole),
        TEST(a_machine_of_another_kind_takes_none),
        TEST(a_damaged_node_is_not_pushed),
        TEST(what_the_registry_has_is_not_read_here),
        TEST(a_node_that_was_evicted_is_passed_over),
        TEST(a_later_run_replaces_an_earlier_one),
        TEST(a_node_that_is_too_old_is_not_taken_but_replaced),
        TEST(a_node_of_an_earlier_run_than_here_is_not_fetched),
        TEST(memory_of_another_run_is_refused),
        TEST(a_size_that_no_machine_needs_is_refused),
        TEST(a_node_without_its_memory_is_none),
        TEST(names_that_a_killed_share_left_are_removed),
        TEST(a_name_that_nobody_can_read_is_removed),
        TEST(a_node_whose_steps_made_many_files_is_shared),
        TEST(a_node_that_is_too_large_to_describe_leaves_nothing),
        TEST(names_of_a_share_that_is_under_way_stay),
        TEST(a_registry_that_is_not_there_has_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
