/* A node on the disk says all that it was made with, and its files are what they were. */
#include "sample.h"

#define FILE_NAME "firmware.fd"

/* Not of this stage alone: every field has something in it. */
static Node *full_node(Sample *sample)
{
    g_autoptr(Plan) plan = sample_plan(sample, "[{shell: one}, {shell: two}]");
    sample_write(sample, "node/" NODE_DISK, "layer");
    sample_write(sample, "node/" NODE_MEMORY, "memory");
    sample_write(sample, "node/" FILE_NAME, "variables");
    Node *node = node_new();
    node->folder = sample_path(sample, "node");
    node->below = g_strdup("0123abcd");
    node->source = g_strdup(sample->source);
    node->recipe = g_strdup("web");
    node->fingerprint = g_strdup("qemu 10");
    node->clean = node->secret = TRUE;
    g_ptr_array_unref(node->runs);
    node->runs = sample_runs(plan, "abc");
    json_object_set_new(node->files, NODE_DISK, json_null());
    json_object_set_new(node->files, NODE_MEMORY, json_null());
    json_object_set_new(node->files, FILE_NAME, json_null());
    assert_true(node_publish(node, NULL));
    return node;
}

static void expect_error(const Sample *sample, int code)
{
    g_autofree char *folder = sample_path(sample, "node");
    g_autoptr(GError) error = NULL;
    g_autoptr(Node) node = node_read(folder, &error);
    assert_null(node);
    assert_true(g_error_matches(error, INGOT_ERROR, code));
    assert_non_null(strstr(error->message, folder));
}

/* node.json with another value under a key. */
static void set_in_record(const Sample *sample, const char *key, json_t *value)
{
    g_autofree char *path = sample_path(sample, "node/" NODE_RECORD);
    g_autoptr(json_t) record = json_load_file(path, 0, NULL);
    assert_int_equal(json_object_set_new(record, key, value), 0);
    assert_int_equal(json_dump_file(record, path, 0), 0);
}

static void all_fields_come_back(void **state)
{
    Sample *sample = *state;
    g_autoptr(Node) node = full_node(sample);
    g_autoptr(Node) back = node_read(node->folder, NULL);
    assert_non_null(back);
    assert_string_equal(back->folder, node->folder);
    assert_string_equal(node_name(back), "node");
    assert_string_equal(back->below, node->below);
    assert_string_equal(back->source, node->source);
    assert_string_equal(back->recipe, node->recipe);
    assert_string_equal(back->fingerprint, node->fingerprint);
    assert_true(back->clean);
    assert_true(back->secret);
    assert_true(json_equal(back->files, node->files));
    assert_int_equal(json_object_size(back->files), 3);
    assert_int_equal(back->runs->len, 3);
    for (guint i = 0; i < 3; i++) {
        const NodeRun *one = g_ptr_array_index(node->runs, i), *other = g_ptr_array_index(back->runs, i);
        assert_true(ingot_digest_equal(&one->key, &other->key));
        assert_string_equal(one->id, other->id);
        assert_string_equal(one->title, other->title);
        assert_int_equal(one->ran, other->ran);
        assert_true(one->seconds == other->seconds);
    }
    assert_string_equal(node_run(back)->id, "c");
    assert_true(node_verify(back, NULL));
}

static void what_it_lacks_comes_back_as_nothing(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, "[]");
    sample_node(sample, plan, "bare", NULL, "a");
    g_autoptr(Node) back = sample_read(sample, "bare");
    assert_null(back->below);
    assert_null(back->fingerprint);
    assert_false(back->clean);
    assert_false(back->secret);
}

static void others_may_not_read_its_record(void **state)
{
    Sample *sample = *state;
    g_autoptr(Node) node = full_node(sample);
    g_autofree char *path = node_file(node, NODE_RECORD);
    GStatBuf status;
    assert_int_equal(g_stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void one_flipped_byte_is_found(void **state)
{
    static const char *const names[] = {NODE_DISK, FILE_NAME};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(Node) node = full_node(*state);
        g_autofree char *path = node_file(node, names[i]);
        g_autofree char *bytes = NULL;
        gsize size;
        assert_true(node_verify(node, NULL));
        assert_true(g_file_get_contents(path, &bytes, &size, NULL));
        bytes[size / 2] ^= 1;
        assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
        g_autoptr(GError) error = NULL;
        assert_false(node_verify(node, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, path));
    }
}

static void a_missing_file_is_found(void **state)
{
    g_autoptr(Node) node = full_node(*state);
    g_autofree char *path = node_file(node, NODE_DISK);
    g_autoptr(GError) error = NULL;
    assert_int_equal(g_remove(path), 0);
    assert_false(node_verify(node, &error));
    assert_non_null(strstr(error->message, path));
}

/* Whoever loads it does so, in the same reading. */
static void the_memory_is_not_verified(void **state)
{
    Sample *sample = *state;
    g_autoptr(Node) node = full_node(sample);
    sample_write(sample, "node/" NODE_MEMORY, "memorY");
    assert_true(node_verify(node, NULL));
}

static void a_newer_version_is_told(void **state)
{
    Sample *sample = *state;
    g_autoptr(Node) node = full_node(sample);
    set_in_record(sample, "version", json_integer(2));
    expect_error(sample, INGOT_ERROR_TOO_NEW);
}

static void a_folder_without_a_record_is_no_node(void **state)
{
    Sample *sample = *state;
    sample_write(sample, "node/" NODE_DISK, "layer");
    expect_error(sample, INGOT_ERROR_NOT_FOUND);
}

static void a_broken_record_is_an_error(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{}", "{\"version\":1}x", "\xff"};
    Sample *sample = *state;
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        sample_write(sample, "node/" NODE_RECORD, texts[i]);
        expect_error(sample, INGOT_ERROR_CORRUPT);
    }
}

static void a_record_of_other_types_is_an_error(void **state)
{
    static const char *const keys[] = {"source", "files", "runs"};
    Sample *sample = *state;
    for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autoptr(Node) node = full_node(sample);
        set_in_record(sample, keys[i], json_integer(3));
        expect_error(sample, INGOT_ERROR_CORRUPT);
    }
}

static void no_run_led_to_it(void **state)
{
    Sample *sample = *state;
    g_autoptr(Node) node = full_node(sample);
    set_in_record(sample, "runs", json_array());
    expect_error(sample, INGOT_ERROR_CORRUPT);
}

/* A title in another language than ours: cut, and yet every run is there. */
static void every_run_is_described(void **state)
{
    Sample *sample = *state;
    g_autoptr(Plan) plan = sample_plan(sample, "[{name: Установка пакетов и настройка службы журналов веб-сервера,"
                                               " shell: one}, {name: aktualizacja pakietów i konfiguracja usługi żądań"
                                               " użytkowników, shell: two}]");
    sample_node(sample, plan, "node", NULL, "abc");
    g_autoptr(Node) back = sample_read(sample, "node");
    assert_int_equal(back->runs->len, 3);
    for (guint i = 0; i < 3; i++) {
        const NodeRun *run = g_ptr_array_index(back->runs, i);
        assert_true(ingot_digest_equal(&run->key, &plan_stage(plan, i)->key));
        assert_string_equal(run->title, plan_stage(plan, i)->title);
    }
}

/* Better no node than one that says it stands after another stage. */
static void what_cannot_be_described_is_not_kept(void **state)
{
    Sample *sample = *state;
    for (guint i = 0; i < 2; i++) {
        g_autoptr(Node) node = full_node(sample);
        g_autofree char *record = node_file(node, NODE_RECORD);
        assert_int_equal(g_remove(record), 0);
        char **text = i == 0 ? &((NodeRun *)g_ptr_array_index(node->runs, 2))->title : &node->source;
        g_free(*text);
        *text = g_strdup("/cut in a character: \xd0");
        g_autoptr(GError) error = NULL;
        assert_false(node_publish(node, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_non_null(strstr(error->message, "not UTF-8"));
        assert_false(g_file_test(record, G_FILE_TEST_EXISTS));
    }
}

static void what_would_not_be_read_back_is_not_kept(void **state)
{
    Sample *sample = *state;
    g_autoptr(Node) node = full_node(sample);
    g_autofree char *record = node_file(node, NODE_RECORD), *long_path = g_strnfill(17 << 20, 'x');
    assert_int_equal(g_remove(record), 0);
    ((NodeRun *)g_ptr_array_index(node->runs, 2))->made = json_pack("{s:i}", long_path, 1);
    g_autoptr(GError) error = NULL;
    assert_false(node_publish(node, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    assert_non_null(strstr(error->message, NODE_RECORD));
    assert_false(g_file_test(record, G_FILE_TEST_EXISTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(all_fields_come_back),
        SAMPLE_TEST(what_it_lacks_comes_back_as_nothing),
        SAMPLE_TEST(others_may_not_read_its_record),
        SAMPLE_TEST(one_flipped_byte_is_found),
        SAMPLE_TEST(a_missing_file_is_found),
        SAMPLE_TEST(the_memory_is_not_verified),
        SAMPLE_TEST(a_newer_version_is_told),
        SAMPLE_TEST(a_folder_without_a_record_is_no_node),
        SAMPLE_TEST(a_broken_record_is_an_error),
        SAMPLE_TEST(a_record_of_other_types_is_an_error),
        SAMPLE_TEST(no_run_led_to_it),
        SAMPLE_TEST(every_run_is_described),
        SAMPLE_TEST(what_cannot_be_described_is_not_kept),
        SAMPLE_TEST(what_would_not_be_read_back_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
