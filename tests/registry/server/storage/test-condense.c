/* Condensing: a log that begins anew with a checkpoint tells the same names, whatever is killed or damaged. */
#include "../fixture.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <utime.h>

#include "server/catalogue/database.h"
#include "server/catalogue/schema.h"
#include "server/events/checkpoint.h"
#include "server/storage/condense.h"
#include "server/storage/rebuild.h"
#include "server/storage/scrub.h"

/* Here in place of GLib's: all happens in one second. A push again renews a blob's time, which is no event. */
gint64 g_get_real_time(void)
{
    static time_t began;
    began = began == 0 ? time(NULL) : began;
    return (gint64)began * G_USEC_PER_SEC;
}

static gboolean no_rename; /* a disk that is full: here in place of libc */

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "rename");
    }
    if (no_rename) {
        errno = ENOSPC;
        return -1;
    }
    return real(from, to);
}

static Storage *open_small(void **state)
{
    Storage *storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1000});
    return storage;
}

static gboolean condense(Storage *storage)
{
    gboolean done;
    g_autoptr(GError) error = NULL;
    if (!condense_when_due(storage, &done, &error)) {
        fail_msg("%s", error->message);
    }
    return done;
}

/* Two repositories; tags that moved, that went, and that stay; a referrer; a blob that no manifest needs. */
static void fill(Storage *storage, guint seed)
{
    g_autoptr(GByteArray) bytes = noise(seed, 5000), other = noise(seed + 1000, 4000);
    IngotDigest digest = push(storage, "a", bytes);
    push(storage, "b", other);
    for (guint i = 0; i < 6; i++) {
        g_autofree char *text = g_strdup_printf("image %u of %u", i, seed);
        put_manifest(storage, "a", i == 0 ? "dev" : "newest", text, &digest, 1);
        if (i == 4) {
            put_manifest(storage, "a", "gone", text, &digest, 1);
        }
    }
    assert_true(storage_remove_tag(storage, NULL, "a", "gone", NULL));
    IngotDigest referrer;
    assert_true(try_manifest(storage, "a", NULL, "a referrer", &digest, 1, &digest, &referrer, NULL));
}

static char *log_path(void **state)
{
    return ingot_workdir_file(*state, "data/names.log");
}

static guint64 log_size(void **state)
{
    struct stat st;
    g_autofree char *path = log_path(state);
    assert_int_equal(stat(path, &st), 0);
    return (guint64)st.st_size;
}

static guint count_kept(void **state)
{
    g_autofree char *path = log_path(state);
    g_auto(GStrv) kept = checkpoint_kept(path);
    return g_strv_length(kept);
}

/* All rows of names and times, as a text. */
static char *picture_of(void **state)
{
    static const char *const lists[] = {
        "SELECT name||' '||hex(digest)||' '||made FROM links JOIN repositories ON repositories.id=repository JOIN "
        "blobs ON"
        " blobs.id=blob ORDER BY 1",
        "SELECT name||' '||hex(digest)||' '||type||coalesce(hex(subject), '') FROM manifests JOIN repositories ON"
        " repositories.id=repository JOIN blobs ON blobs.id=blob ORDER BY 1",
        "SELECT tags.repository||tags.name||' '||hex(digest)||' '||made FROM tags JOIN blobs ON blobs.id=blob ORDER BY "
        "1",
        "SELECT DISTINCT name||' '||hex(digest) FROM history ORDER BY 1",
        "SELECT hex(blobs.digest)||' '||hex(mentions.digest) FROM mentions JOIN blobs ON blobs.id=manifest ORDER BY 1",
    };
    GString *all = g_string_new(NULL);
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autoptr(Database) database = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_autoptr(sqlite3_stmt) rows = database_query(reader, lists[i], "");
        while (database_step(rows, NULL)) {
            g_string_append_printf(all, "%u %s\n", i, (const char *)sqlite3_column_text(rows, 0));
        }
    }
    return g_string_free(all, FALSE);
}

static void assert_opens_clean(void **state, const char *what)
{
    g_autoptr(Storage) storage = open_small(state);
    assert_clean_after(storage, what);
}

static RebuildReport rebuild(void **state)
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
    if (!storage_rebuild(data, &(RebuildOptions){0}, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

/* It gets shorter, tells the same, and goes on; the one before is kept, and goes when its time is over. */
static void a_long_log_begins_anew(void **state)
{
    g_autoptr(Storage) storage = open_small(state);
    for (guint round = 0; round < 3; round++) {
        for (guint i = 0; i < 8 + 40 * round; i++) {
            fill(storage, 1 + i % 2);
        }
        guint64 before = log_size(state);
        assert_true(condense(storage));
        assert_true(log_size(state) < before);
        assert_int_equal(count_kept(state), round + 1);
        assert_false(condense(storage)); /* not worth it again */
        fill(storage, 3 + round);
        g_clear_pointer(&storage, storage_close);
        assert_opens_clean(state, "a log that begins with a checkpoint");
        g_autofree char *pushed = picture_of(state);
        assert_int_equal(rebuild(state).lost, 0);
        g_autofree char *rebuilt = picture_of(state);
        assert_string_equal(pushed, rebuilt);
        assert_opens_clean(state, "rebuilt from a checkpoint and what came since");
        storage = open_small(state);
    }
    g_autofree char *path = log_path(state);
    assert_true(checkpoint_forget(path, g_get_real_time() / G_USEC_PER_SEC - 3600, NULL));
    assert_int_equal(count_kept(state), 3);
    assert_true(checkpoint_forget(path, g_get_real_time() / G_USEC_PER_SEC + 3600, NULL));
    assert_int_equal(count_kept(state), 0);
}

/* The log of before is found and read where any byte of the checkpoint is damaged: nothing is lost. Without it, what
 * the damaged line told is, and nothing else. */
static void a_damaged_checkpoint_is_read_around(void **state)
{
    {
        g_autoptr(Storage) storage = open_small(state);
        for (guint i = 0; i < 4; i++) {
            fill(storage, 11 + i);
        }
        assert_true(condense(storage));
        fill(storage, 3);
    }
    g_autofree char *path = log_path(state), *whole = NULL, *pushed = picture_of(state);
    gsize size;
    CheckpointHead head;
    assert_true(g_file_get_contents(path, &whole, &size, NULL));
    assert_true(checkpoint_head(whole, size, &head));
    g_auto(GStrv) kept = checkpoint_kept(path);
    g_autofree char *aside = ingot_workdir_file(*state, "kept");
    for (guint64 at = head.begins + 25; at < head.size; at += 250) {
        g_autofree char *line = g_strdup_printf("byte %" G_GUINT64_FORMAT, at);
        assert_true(g_file_set_contents(path, whole, (gssize)size, NULL));
        flip(path, at);
        assert_int_equal(rebuild(state).lost, 0);
        g_autofree char *rebuilt = picture_of(state);
        assert_string_equal(pushed, rebuilt);
        assert_opens_clean(state, line);
        assert_int_equal(g_rename(kept[0], aside), 0);
        assert_true(g_file_set_contents(path, whole, (gssize)size, NULL));
        flip(path, at);
        assert_in_range(rebuild(state).lost, 1, 3);
        assert_opens_clean(state, line);
        assert_int_equal(g_rename(aside, kept[0]), 0);
        g_auto(GStrv) more = checkpoint_kept(path);
        for (guint i = 0; more[i] != NULL; i++) {
            if (!g_str_equal(more[i], kept[0])) {
                g_unlink(more[i]);
            }
        }
    }
}

/* The log is switched, and the power goes before the catalogue knows of it: either log is taken for what it is. */
static void a_switch_that_was_not_committed_is_found(void **state)
{
    g_autofree char *path = log_path(state), *old = NULL, *catalogue = NULL;
    g_autofree char *file = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autofree char *wal = ingot_workdir_file(*state, "data/catalogue.sqlite-wal");
    gsize size, rows;
    {
        g_autoptr(Storage) storage = open_small(state);
        for (guint i = 0; i < 4; i++) {
            fill(storage, 1 + i % 2);
        }
    }
    assert_true(g_file_get_contents(path, &old, &size, NULL));
    assert_true(g_file_get_contents(file, &catalogue, &rows, NULL));
    g_autofree char *pushed = picture_of(state);
    {
        g_autoptr(Storage) storage = open_small(state);
        assert_true(condense(storage));
    }
    assert_true(log_size(state) < size);
    g_unlink(wal);
    assert_true(g_file_set_contents(file, catalogue, (gssize)rows, NULL)); /* of before the switch */
    {
        g_autoptr(Storage) storage = open_small(state);
        fill(storage, 9);
    }
    assert_opens_clean(state, "a switch that was not committed");
    assert_int_equal(rebuild(state).lost, 0);
    /* The other way round: the switch had no name yet. */
    assert_true(g_file_set_contents(path, old, (gssize)size, NULL));
    assert_true(g_file_set_contents(file, catalogue, (gssize)rows, NULL));
    g_unlink(wal);
    assert_opens_clean(state, "a switch that had not begun");
    g_autofree char *again = picture_of(state);
    assert_string_equal(pushed, again);
}

/* A switch that fails, or is killed, before the new log has its name leaves the one that lives no second name. */
static void a_log_that_lives_is_no_kept_one(void **state)
{
    g_autofree char *path = log_path(state), *kept = g_strconcat(path, ".000000000007", NULL);
    gboolean done;
    g_autoptr(Storage) storage = open_small(state);
    for (guint i = 0; i < 4; i++) {
        fill(storage, 1 + i % 2);
    }
    no_rename = TRUE;
    gboolean ok = condense_when_due(storage, &done, NULL);
    no_rename = FALSE;
    assert_false(ok);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(link(path, kept), 0);
    assert_int_equal(count_kept(state), 0);
    g_clear_pointer(&storage, storage_close);
    storage = open_small(state);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_true(condense(storage));
    assert_int_equal(count_kept(state), 1);
}

/* A collection beside no server knows no limits: it drops no log, and begins none anew. */
static void without_limits_all_logs_stay(void **state)
{
    g_autofree char *path = log_path(state), *kept = g_strconcat(path, ".000000000001", NULL);
    g_autoptr(Storage) storage = open_storage(state);
    fill(storage, 1);
    assert_true(g_file_set_contents(kept, "", 0, NULL));
    struct utimbuf old = {.actime = 1, .modtime = 1};
    assert_int_equal(utime(kept, &old), 0);
    assert_false(condense(storage));
    assert_int_equal(count_kept(state), 1);
    storage_limit(storage, &(StorageLimits){.keep_events = 3600});
    condense(storage);
    assert_int_equal(count_kept(state), 0);
}

/* The last event is damaged in any byte: the catalogue has what it changed, so the folder opens, with nothing lost. */
static void a_damaged_last_event_is_no_loss(void **state)
{
    {
        g_autoptr(Storage) storage = open_storage(state);
        fill(storage, 1);
        assert_true(storage_remove_tag(storage, NULL, "a", "dev", NULL));
    }
    g_autofree char *path = log_path(state), *whole = NULL, *catalogue = NULL, *pushed = picture_of(state);
    g_autofree char *file = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autofree char *wal = ingot_workdir_file(*state, "data/catalogue.sqlite-wal");
    gsize size, rows;
    assert_true(g_file_get_contents(path, &whole, &size, NULL));
    assert_true(g_file_get_contents(file, &catalogue, &rows, NULL));
    gsize last = (gsize)((char *)memrchr(whole, '\n', size - 1) - whole) + 1;
    for (gsize at = last; at < size; at += at + 8 < size ? 7 : 1) {
        g_autofree char *what = g_strdup_printf("byte %zu of the last event", at - last);
        assert_true(g_file_set_contents(path, whole, (gssize)size, NULL));
        assert_true(g_file_set_contents(file, catalogue, (gssize)rows, NULL));
        g_unlink(wal);
        flip(path, at);
        guint kept = count_kept(state);
        assert_opens_clean(state, what); /* it opens */
        assert_int_equal(count_kept(state), kept + 1);
        g_autofree char *now = picture_of(state);
        assert_string_equal(now, pushed);
        assert_int_equal(rebuild(state).lost, 0);
        g_autofree char *rebuilt = picture_of(state);
        assert_string_equal(rebuilt, pushed);
    }
}

/* Nobody guesses where the catalogue is damaged too, or where more than the last event is. */
static void more_damage_than_the_last_event_is_refused(void **state)
{
    {
        g_autoptr(Storage) storage = open_storage(state);
        fill(storage, 1);
    }
    g_autofree char *path = log_path(state), *whole = NULL, *data = ingot_workdir_file(*state, "data");
    g_autofree char *pushed = picture_of(state);
    gsize size;
    assert_true(g_file_get_contents(path, &whole, &size, NULL));
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        guint64 number;
        assert_true(g_file_set_contents(path, whole, (gssize)(i == 0 ? size : size - 300), NULL));
        if (i == 0) {
            flip(path, size - 10);
            flip(path, 100);
        }
        assert_null(storage_open(data, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "ingotd rebuild --events"));
        /* What it says mends it. */
        g_clear_error(&error);
        assert_true(storage_rebuild_events(data, FALSE, &number, &error));
        assert_opens_clean(state, "a log that was made anew");
        g_autofree char *now = picture_of(state);
        assert_string_equal(now, pushed);
        assert_int_equal(rebuild(state).lost, 0);
        assert_opens_clean(state, "rebuilt from a log that was made anew");
        g_autofree char *rebuilt = picture_of(state);
        assert_string_equal(rebuilt, pushed);
        assert_true(g_file_get_contents(path, &whole, &size, NULL));
    }
    g_autofree char *file = ingot_workdir_file(*state, "data/catalogue.sqlite");
    {
        g_autoptr(Database) database = database_open(file, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
        assert_true(database_change(database, NULL, NULL, "UPDATE tags SET sum=sum+1", ""));
    }
    guint64 number;
    g_autoptr(GError) error = NULL;
    flip(path, size - 10);
    assert_null(storage_open(data, NULL));
    assert_false(storage_rebuild_events(data, FALSE, &number, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_log_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_checkpoint_is_read_around, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_switch_that_was_not_committed_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_lives_is_no_kept_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_limits_all_logs_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_last_event_is_no_loss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_damage_than_the_last_event_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
