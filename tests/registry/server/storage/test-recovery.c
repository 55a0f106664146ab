/* Recovery: a rebuild goes on past whatever is damaged, says what is lost, and leaves a log and a catalogue that agree.
 */
#include "../fixture.h"

#include "server/events/eventlog.h"
#include "server/storage/rebuild.h"
#include "server/storage/scrub.h"

#define IMAGES 3

static void fill(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < IMAGES; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 5000);
        IngotDigest digest = push(storage, "a", bytes);
        g_autofree char *tag = g_strdup_printf("1.%u.0", i);
        put_manifest(storage, "a", tag, tag, &digest, 1);
    }
    assert_true(storage_remove_tag(storage, NULL, "a", "1.0.0", NULL));
}

static void collect_line(const char *line, gpointer user)
{
    g_ptr_array_add(user, g_strdup(line));
}

/* With the catalogue gone. What it tells is in lines. */
static RebuildReport rebuild(void **state, GPtrArray *lines)
{
    static const char *const names[] = {"data/catalogue.sqlite", "data/catalogue.sqlite-wal",
                                        "data/catalogue.sqlite-shm"};
    g_autofree char *data = ingot_workdir_file(*state, "data");
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = ingot_workdir_file(*state, names[i]);
        g_unlink(path);
    }
    RebuildReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_rebuild(data, collect_line, lines, &report, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(report.lost, lines->len);
    return report;
}

static void assert_clean(void **state, const char *what)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    const ScrubOptions options = {.tell = collect_line, .user = lines};
    ScrubReport report;
    assert_true(storage_scrub(storage, &options, &report, NULL));
    if (report.inconsistencies + report.damaged > 0) {
        fail_msg("%s: %s", what, (const char *)g_ptr_array_index(lines, 0));
    }
}

/* Each line of the log is damaged in turn. */
static void any_damaged_event_costs_its_own_alone(void **state)
{
    fill(state);
    g_autofree char *path = ingot_workdir_file(*state, "data/names.log");
    g_autofree char *whole = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &whole, &size, NULL));
    for (gsize at = 0; at < size; at = (gsize)((char *)memchr(whole + at, '\n', size - at) - whole) + 1) {
        g_autofree char *line =
            g_strndup(whole + at, (gsize)((char *)memchr(whole + at, '\n', size - at) - whole) - at);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        assert_true(g_file_set_contents(path, whole, (gssize)size, NULL));
        flip(path, at + 30);
        RebuildReport report = rebuild(state, lines);
        assert_in_range(report.lost, 1, 2); /* the event, and the tag that counts on it */
        assert_in_range(report.tags, IMAGES - 2, IMAGES);
        assert_in_range(report.manifests, IMAGES - 1, IMAGES);
        assert_clean(state, line);
        /* Once more, from the log that the rebuild has left: the same. */
        g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
        RebuildReport second = rebuild(state, again);
        assert_int_equal(second.tags, report.tags);
        assert_int_equal(second.manifests, report.manifests);
        assert_clean(state, line);
    }
}

/* An event of a version that is to come is not taken for another kind: it is skipped, and named. */
static void an_unknown_event_is_skipped(void **state)
{
    fill(state);
    g_autofree char *path = ingot_workdir_file(*state, "data/names.log");
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_autoptr(GString) text = g_string_new(NULL);
    EventMark mark;
    g_autoptr(GPtrArray) ignored = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, ignored).tags, IMAGES - 1);
    {
        g_autofree char *all = NULL;
        gsize size;
        assert_true(g_file_get_contents(path, &all, &size, NULL));
        assert_true(eventlog_start(path, size, &mark, NULL)); /* its number and hash are corrected below */
    }
    g_ptr_array_add(events, json_pack("{s:s, s:s, s:s}", "op", "from-the-future", "name", "a", "tag", "1.1.0"));
    const EventMark before = mark;
    mark.number = 1000; /* a gap in front of it */
    eventlog_format(text, events, &mark);
    assert_true(eventlog_append(path, &before, text, NULL));
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    RebuildReport report = rebuild(state, lines);
    assert_int_equal(report.tags, IMAGES - 1);
    gboolean named = FALSE;
    for (guint i = 0; i < lines->len; i++) {
        named |= strstr(g_ptr_array_index(lines, i), "'from-the-future'") != NULL;
    }
    assert_true(named);
    assert_clean(state, "an unknown event");
}

/* Removes the packs that hold a text. */
static void lose_packs_with(void **state, const char *text)
{
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(packs, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(packs, name, NULL), *all = NULL;
        gsize size;
        assert_true(g_file_get_contents(file, &all, &size, NULL));
        if (memmem(all, size, text, strlen(text)) != NULL) {
            assert_int_equal(g_unlink(file), 0);
        }
    }
}

/* A tag whose blob's bytes are gone is lost by name, and stays lost. */
static void what_is_lost_is_named(void **state)
{
    fill(state);
    lose_packs_with(state, "1.1.0");
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    RebuildReport report = rebuild(state, lines);
    assert_int_equal(report.tags, IMAGES - 2);
    gboolean named = FALSE;
    for (guint i = 0; i < lines->len; i++) {
        named |= g_str_has_prefix(g_ptr_array_index(lines, i), "a:1.1.0,");
    }
    assert_true(named);
    assert_clean(state, "a lost pack");
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, again).lost, 0); /* the log knows of it */
}

/* A tag that moved to a manifest that is lost names nothing: least of all what it named before. */
static void a_lost_tag_is_not_an_older_one(void **state)
{
    {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GByteArray) bytes = noise(1, 5000);
        IngotDigest digest = push(storage, "a", bytes);
        put_manifest(storage, "a", "prod", "the older one", &digest, 1);
        put_manifest(storage, "a", "prod", "the newer one", &digest, 1);
    }
    lose_packs_with(state, "the newer one");
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    RebuildReport report = rebuild(state, lines);
    assert_int_equal(report.tags, 0);
    assert_int_equal(report.manifests, 1);
    assert_clean(state, "a lost tag");
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, again).tags, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_damaged_event_costs_its_own_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_event_is_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_lost_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_tag_is_not_an_older_one, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
