/* Recovery: a rebuild goes on past whatever is damaged, says what is lost, and leaves a log and a catalogue that agree.
 */
#include "../fixture.h"

#include "server/catalogue/database.h"
#include "server/catalogue/schema.h"
#include "server/events/checkpoint.h"
#include "server/packs/segment.h"
#include "server/storage/collect.h"
#include "server/storage/rebuild.h"
#include "server/storage/scrub.h"
#include "server/storage/witness.h"

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
    const RebuildOptions options = {.tell = add_line, .user = lines};
    if (!storage_rebuild(data, &options, &report, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(report.lost, lines->len);
    return report;
}

static void assert_opens_clean(void **state, const char *what)
{
    g_autoptr(Storage) storage = open_storage(state);
    assert_clean_after(storage, what);
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
        assert_opens_clean(state, line);
        /* Once more, from the log that the rebuild has left: the same. */
        g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
        RebuildReport second = rebuild(state, again);
        assert_int_equal(second.tags, report.tags);
        assert_int_equal(second.manifests, report.manifests);
        assert_opens_clean(state, line);
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
    assert_opens_clean(state, "an unknown event");
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

static void lose_packs_with_bytes(void **state, const GByteArray *bytes)
{
    g_autofree char *text = g_strndup((const char *)bytes->data + 100, 8);
    lose_packs_with(state, text);
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
    assert_opens_clean(state, "a lost pack");
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
    assert_opens_clean(state, "a lost tag");
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, again).tags, 0);
}

/* --- packs --- */

/* All packs become one, as older versions wrote them, one segment behind the other. Each segment's offset. */
static GArray *join_packs(void **state, const char *without)
{
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autofree char *one = g_build_filename(packs, "00000001.pack", NULL);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GArray *offsets = g_array_new(FALSE, FALSE, sizeof(gsize));
    g_autoptr(GDir) folder = g_dir_open(packs, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(packs, name, NULL), *all = NULL;
        gsize size, at = bytes->len;
        assert_true(g_file_get_contents(file, &all, &size, NULL));
        assert_int_equal(g_unlink(file), 0);
        if (without != NULL && memmem(all, size, without, 100) != NULL) {
            continue;
        }
        g_array_append_val(offsets, at);
        g_byte_array_append(bytes, (const guint8 *)all, (guint)size);
    }
    assert_true(g_file_set_contents(one, (const char *)bytes->data, bytes->len, NULL));
    return offsets;
}

static guint count_lines(const GPtrArray *lines, const char *word)
{
    guint count = 0;
    for (guint i = 0; i < lines->len; i++) {
        count += strstr(g_ptr_array_index(lines, i), word) != NULL;
    }
    return count;
}

/* The log and the catalogue have the same names; what the packs lack is another matter. */
static void assert_same_names(void **state, const char *what)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    const ScrubOptions options = {.tell = add_line, .user = lines};
    ScrubReport report;
    assert_true(storage_scrub(storage, &options, &report, NULL));
    if (count_lines(lines, "log of events") > 0) {
        fail_msg("%s: %s", what, (const char *)g_ptr_array_index(lines, 0));
    }
}

/* Any part of any segment is damaged in turn: the other segments of the pack are found, behind it too; what is lost
 * is named; and once the pack is whole again, another rebuild has all that was given up. */
static void a_damaged_segment_costs_its_own_alone(void **state)
{
    static const struct {
        const char *what;
        gssize at; /* from its end where negative */
        gboolean keeps_names;
    } parts[] = {{"magic", 3, FALSE},
                 {"version", 8, FALSE},
                 {"length of the data", 17, FALSE},
                 {"length of the table", 25, FALSE},
                 {"sum", 40, FALSE},
                 {"data", SEGMENT_HEAD + 20, TRUE},
                 {"table", -10, FALSE}};
    fill(state);
    g_autoptr(GArray) offsets = join_packs(state, NULL);
    g_autofree char *pack = ingot_workdir_file(*state, "data/packs/00000001.pack");
    GStatBuf st;
    assert_int_equal(g_stat(pack, &st), 0);
    assert_int_equal(offsets->len, 2 * IMAGES);
    for (guint i = 0; i < offsets->len; i++) {
        gsize from = g_array_index(offsets, gsize, i);
        gsize end = i + 1 == offsets->len ? (gsize)st.st_size : g_array_index(offsets, gsize, i + 1);
        for (guint k = 0; k < G_N_ELEMENTS(parts); k++) {
            gsize at = parts[k].at < 0 ? end - (gsize)-parts[k].at : from + (gsize)parts[k].at;
            g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
            g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
            flip(pack, at);
            RebuildReport report = rebuild(state, lines);
            assert_in_range(report.lost, 1, 6);
            assert_in_range(report.tags, parts[k].keeps_names ? IMAGES - 1 : IMAGES - 2, IMAGES - 1);
            assert_int_equal(report.tags + count_lines(lines, ", which named"), IMAGES - 1);
            assert_same_names(state, parts[k].what);
            flip(pack, at);
            assert_int_equal(rebuild(state, again).lost, 0);
            assert_opens_clean(state, parts[k].what);
        }
    }
}

/* Its end is missing, it can't be read, it is not a file: the others are there. */
static void a_pack_that_cannot_be_read_costs_its_own_alone(void **state)
{
    fill(state);
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autofree char *aside = ingot_workdir_file(*state, "pack");
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) folder = g_dir_open(packs, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_ptr_array_add(files, g_build_filename(packs, name, NULL));
    }
    for (guint i = 0; i < files->len * 3; i++) {
        const char *file = g_ptr_array_index(files, i / 3);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *all = NULL;
        gsize size;
        assert_true(g_file_get_contents(file, &all, &size, NULL));
        assert_int_equal(g_rename(file, aside), 0);
        if (i % 3 == 0) {
            assert_int_equal(g_mkdir(file, 0700), 0);
        } else if (i % 3 == 1) {
            assert_int_equal(symlink(file, file), 0); /* opening it fails */
        } else {
            assert_true(g_file_set_contents(file, all, (gssize)size - 1, NULL));
        }
        RebuildReport report = rebuild(state, lines);
        assert_in_range(report.tags, IMAGES - 2, IMAGES - 1);
        assert_true(count_lines(lines, file) > 0);
        assert_same_names(state, file);
        assert_int_equal(g_remove(file), 0);
        assert_int_equal(g_rename(aside, file), 0);
        assert_int_equal(rebuild(state, again).lost, 0);
        assert_opens_clean(state, file);
    }
}

/* A damaged piece is there as damaged: its names stay, and a push of the same bytes mends it. */
static void a_push_mends_what_was_rebuilt_damaged(void **state)
{
    fill(state);
    g_autoptr(GByteArray) bytes = noise(1, 5000);
    g_autofree char *pack = ingot_workdir_file(*state, "data/packs/00000001.pack"), *all = NULL;
    g_autoptr(GArray) offsets = join_packs(state, NULL);
    gsize size;
    assert_true(g_file_get_contents(pack, &all, &size, NULL));
    flip(pack, (gsize)((char *)memmem(all, size, bytes->data, bytes->len) - all) + 100);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, lines).tags, IMAGES - 1);
    assert_int_equal(count_lines(lines, "a:1.1.0 needs sha256:"), 1);
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest digest;
    ingot_digest_of(bytes->data, bytes->len, &digest);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    assert_true(blob == NULL || storage_blob_damaged(blob));
    push(storage, "a", bytes);
    g_clear_pointer(&blob, storage_blob_unref);
    blob = storage_blob(storage, "a", &digest, NULL);
    g_autofree guint8 *read = g_malloc(bytes->len);
    assert_true(storage_blob_read_all(blob, 0, read, bytes->len, NULL));
    assert_memory_equal(read, bytes->data, bytes->len);
}

/* A blob that looks like a segment, and says that another blob is made of its bytes: behind damage it is found, and
 * not believed. */
static void a_segment_within_a_blob_is_not_believed(void **state)
{
    g_autoptr(GByteArray) victim = noise(50, 6000), evil = noise(51, 6000);
    g_autofree char *file = ingot_workdir_file(*state, "segment"), *fake = NULL, *all = NULL;
    g_autofree char *pack = ingot_workdir_file(*state, "data/packs/00000001.pack");
    IngotDigest digest, piece;
    gsize size;
    guint64 end;
    {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(Table) table = table_new();
        digest = push(storage, "a", victim);
        table->blob = digest;
        table->size = evil->len;
        ingot_digest_of(evil->data, evil->len, &piece);
        table_add(table, &piece, evil->len, TRUE);
        g_auto(IngotFd) fd = open(file, O_RDWR | O_CREAT, 0600);
        assert_int_equal(pwrite(fd, evil->data, evil->len, SEGMENT_HEAD), (gssize)evil->len);
        assert_true(segment_finish(fd, 0, evil->len, table, &end, file, NULL));
        assert_true(g_file_get_contents(file, &fake, &size, NULL));
        g_autoptr(GByteArray) blob = g_byte_array_new_take((guint8 *)g_memdup2(fake, size), size);
        push(storage, "evil", blob);
    }
    g_autoptr(GArray) offsets = join_packs(state, (const char *)victim->data);
    assert_int_equal(offsets->len, 1);
    flip(pack, 2);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    RebuildReport report = rebuild(state, lines);
    assert_int_equal(report.packs, 1); /* the fake was found */
    g_autoptr(Storage) storage = open_storage(state);
    assert_null(storage_blob(storage, "a", &digest, NULL));
    /* Nor does it stand in the way of the true one. */
    push(storage, "a", victim);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    g_autofree guint8 *read = g_malloc(victim->len);
    assert_true(storage_blob_read_all(blob, 0, read, victim->len, NULL));
    assert_memory_equal(read, victim->data, victim->len);
}

/* A pack is lost, and all that stood in it is pushed again: a collection writes its tables elsewhere, and nothing
 * misses it any more. Where it is lost for good, a collection goes on, and a scrub tells. */
static void a_lost_pack_stops_no_collection(void **state)
{
    g_autoptr(GByteArray) bytes = noise(60, 5000), other = noise(61, 5000), dead = noise(62, 5000);
    CollectReport report;
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    {
        g_autoptr(Storage) storage = open_storage(state);
        IngotDigest digest = push(storage, "a", bytes), gone = push(storage, "a", other);
        put_manifest(storage, "a", "1.0.0", "kept", &digest, 1);
        put_manifest(storage, "a", "2.0.0", "gone", &gone, 1);
        digest = push(storage, "a", dead);
        assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    }
    lose_packs_with_bytes(state, bytes);
    lose_packs_with_bytes(state, other);
    g_autoptr(Storage) storage = open_storage(state);
    const CollectOptions options = {.tell = add_line, .user = lines};
    push(storage, "a", bytes);
    assert_true(storage_collect(storage, &options, &report, NULL));
    assert_int_equal(report.blobs, 1);
    push(storage, "a", other);
    assert_true(storage_collect(storage, &options, &report, NULL));
    g_clear_pointer(&storage, storage_close);
    assert_opens_clean(state, "packs that were lost, and pushed again");
}

/* What a crash left of a transaction is not lost where the catalogue that is replaced knows that it never happened; it
 * is set aside. Where nobody knows, it may have been an event. */
static void what_was_never_committed_is_not_lost(void **state)
{
    static const char *const torn[] = {"0123456789abcdef {\"op\":\"tag\",\"n", "0123456789abcdef {}\n0000"};
    fill(state);
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log"), *whole = NULL;
    g_autofree char *data = ingot_workdir_file(*state, "data");
    for (guint i = 0; i < 2 * G_N_ELEMENTS(torn); i++) {
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        RebuildReport report;
        assert_true(g_file_get_contents(log, &whole, NULL, NULL));
        g_autofree char *more = g_strconcat(whole, torn[i / 2], NULL);
        g_clear_pointer(&whole, g_free);
        assert_true(g_file_set_contents(log, more, -1, NULL));
        if (i % 2 == 0) {
            const RebuildOptions options = {.tell = add_line, .user = lines};
            assert_true(storage_rebuild(data, &options, &report, NULL));
            assert_int_equal(report.lost, 0);
        } else {
            report = rebuild(state, lines);
            assert_in_range(report.lost, 1, 2);
        }
        assert_int_equal(report.tags, IMAGES - 1);
        assert_opens_clean(state, torn[i / 2]);
    }
    g_autofree char *aside = ingot_workdir_file(*state, "data/names.log.aside");
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
}

/* A power cut may leave any part of a transaction that was never committed: it has not happened by halves. */
static void half_of_a_transaction_is_none(void **state)
{
    fill(state);
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log"), *whole = NULL;
    g_autofree char *data = ingot_workdir_file(*state, "data");
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GPtrArray) events = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    g_autoptr(GPtrArray) told = g_ptr_array_new_with_free_func(g_free);
    EventMark mark;
    for (guint i = 1; i < IMAGES; i++) {
        g_autofree char *tag = g_strdup_printf("1.%u.0", i);
        g_ptr_array_add(events,
                        json_pack("{s:s, s:s, s:s, s:i}", "op", "untag", "name", "a", "tag", tag, "at", 1700000000));
    }
    assert_true(witness_read(data, &mark));
    eventlog_format(lines, events, &mark);
    lines->str[40] ^= 1; /* of the first */
    assert_true(g_file_get_contents(log, &whole, NULL, NULL));
    g_autofree char *more = g_strconcat(whole, lines->str, NULL);
    assert_true(g_file_set_contents(log, more, -1, NULL));
    RebuildReport report;
    const RebuildOptions options = {.tell = add_line, .user = told};
    assert_true(storage_rebuild(data, &options, &report, NULL));
    assert_int_equal(report.lost, 0);
    assert_int_equal(report.tags, IMAGES - 1);
    assert_opens_clean(state, "half of a transaction");
}

/* --- times --- */

/* What the catalogue says of a time. */
static gint64 time_of(void **state, const char *sql)
{
    gint64 value;
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autoptr(Database) database = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    assert_true(database_number(reader, &value, 0, NULL, sql, ""));
    return value;
}

/* Times are those of the events, not that of the rebuild. */
static void times_are_those_of_the_events(void **state)
{
    static const char *const times[] = {"SELECT made FROM tags WHERE name='1.1.0'", "SELECT max(made) FROM links",
                                        "SELECT min(made) FROM manifests",
                                        "SELECT until FROM history WHERE name='1.0.0'"};
    fill(state);
    gint64 before[G_N_ELEMENTS(times)];
    for (guint i = 0; i < G_N_ELEMENTS(times); i++) {
        before[i] = time_of(state, times[i]);
        assert_true(before[i] > 0);
    }
    g_usleep(2100 * 1000);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    rebuild(state, lines);
    for (guint i = 0; i < G_N_ELEMENTS(times); i++) {
        assert_in_range(time_of(state, times[i]), before[i] - 1, before[i] + 1);
    }
}

static void collect_at_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    const CollectOptions options = {0};
    CollectReport report;
    assert_true(storage_collect(storage, &options, &report, NULL));
}

/* --- what is away for a while --- */

/* Moves the pack that holds these bytes out of the folder; its name. */
static char *take_pack_away(void **state, const GByteArray *bytes)
{
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(packs, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(packs, name, NULL), *all = NULL;
        g_autofree char *aside = ingot_workdir_file(*state, name);
        gsize size;
        assert_true(g_file_get_contents(file, &all, &size, NULL));
        if (memmem(all, size, bytes->data, bytes->len) != NULL) {
            assert_int_equal(g_rename(file, aside), 0);
            return g_strdup(name);
        }
    }
    fail_msg("no pack has these bytes");
    return NULL;
}

static void bring_pack_back(void **state, const char *name)
{
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autofree char *file = g_build_filename(packs, name, NULL), *aside = ingot_workdir_file(*state, name);
    assert_int_equal(g_rename(aside, file), 0);
}

/* Each the one before and more, so that each has a pack and counts on those of all before. */
static void push_versions(void **state, GByteArray **versions, guint count)
{
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < count; i++) {
        g_autofree char *tag = g_strdup_printf("%u.0.0", i + 1);
        versions[i] = frames(100, 2 * (i + 1), 8000);
        IngotDigest digest = push(storage, "a", versions[i]);
        put_manifest(storage, "a", tag, tag, &digest, 1);
    }
}

static void delete_version(void **state, const GByteArray *bytes, const char *tag)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest digest = digest_of(bytes), manifest;
    assert_true(storage_find_tag(storage, "a", tag, &manifest, NULL));
    assert_true(storage_remove_tag(storage, NULL, "a", tag, NULL));
    assert_true(storage_remove_manifest(storage, NULL, "a", &manifest, NULL));
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
}

static void assert_has(void **state, GByteArray *const *versions, guint from, guint count)
{
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = from; i < count; i++) {
        pull(storage, "a", versions[i]);
    }
}

static void free_versions(GByteArray **versions, guint count)
{
    for (guint i = 0; i < count; i++) {
        g_byte_array_unref(versions[i]);
    }
}

/* Each pack is away in turn while the catalogue is made again and garbage is collected: what counts on it is named, and
 * is there again with it. The first versions are deleted later on: the last needs what came with them. */
static void a_pack_that_comes_back_has_lost_nothing(void **state)
{
    GByteArray *versions[IMAGES];
    push_versions(state, versions, IMAGES);
    for (guint i = 0; i < 3 * IMAGES; i++) {
        const guint from = i / IMAGES;
        g_autoptr(GByteArray) own = frames(100 + 2 * (i % IMAGES), 1, 8000);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
        if (i == IMAGES || i == 2 * IMAGES) {
            delete_version(state, versions[from - 1], from == 1 ? "1.0.0" : "2.0.0");
            collect_at_once(state);
        }
        g_autofree char *name = take_pack_away(state, own);
        rebuild(state, lines);
        for (guint k = MAX(from, i % IMAGES); k < IMAGES; k++) {
            g_autofree char *damaged = g_strdup_printf("a:%u.0.0 needs", k + 1);
            IngotDigest digest = digest_of(versions[k]);
            g_autofree char *lost = ingot_digest_to_text(&digest);
            assert_true(count_lines(lines, damaged) + count_lines(lines, lost) > 0);
        }
        collect_at_once(state);
        g_autoptr(GPtrArray) ignored = g_ptr_array_new_with_free_func(g_free);
        rebuild(state, ignored);
        collect_at_once(state);
        bring_pack_back(state, name);
        assert_int_equal(rebuild(state, again).lost, 0);
        assert_has(state, versions, from, IMAGES);
        assert_opens_clean(state, name);
    }
    free_versions(versions, IMAGES);
}

/* A piece that stands in a pack without the table of any blob, since the one that brought it was deleted, is needed by
 * a blob whose table is away. */
static void a_blob_that_comes_back_has_its_pieces(void **state)
{
    g_autoptr(GByteArray) first = frames(200, 6, 8000), second = frames(205, 3, 8000), own = frames(206, 1, 8000);
    {
        g_autoptr(Storage) storage = open_storage(state);
        push(storage, "b", first);
        IngotDigest digest = push(storage, "a", second), gone = digest_of(first);
        put_manifest(storage, "a", "1.0.0", "1.0.0", &digest, 1);
        assert_true(storage_remove_blob(storage, NULL, "b", &gone, NULL));
    }
    collect_at_once(state);
    g_autofree char *name = take_pack_away(state, own);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_true(rebuild(state, lines).lost > 0);
    collect_at_once(state);
    bring_pack_back(state, name);
    assert_int_equal(rebuild(state, again).lost, 0);
    g_autoptr(Storage) storage = open_storage(state);
    pull(storage, "a", second);
}

/* What a manifest needs stays while its pack is away. */
static void a_manifest_that_comes_back_has_its_layers(void **state)
{
    GByteArray *versions[IMAGES];
    push_versions(state, versions, IMAGES);
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_byte_array_append(text, (const guint8 *)"\"text\":\"3.0.0\"", 14);
    g_autofree char *name = take_pack_away(state, text);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_true(rebuild(state, lines).lost > 0);
    collect_at_once(state);
    bring_pack_back(state, name);
    assert_int_equal(rebuild(state, again).lost, 0);
    assert_has(state, versions, 0, IMAGES);
    free_versions(versions, IMAGES);
}

static void put_tag_of(Storage *storage, guint number)
{
    g_autofree char *tag = g_strdup_printf("3.%u.0", number);
    put_manifest(storage, "a", tag, tag, NULL, 0);
}

/* A rebuild that was killed when it had put the old catalogue aside, and is begun again, keeps it. */
static void the_old_catalogue_outlives_a_kill(void **state)
{
    g_autofree char *data = ingot_workdir_file(*state, "data");
    g_autofree char *catalogue = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autofree char *old = ingot_workdir_file(*state, "data/catalogue.sqlite.old");
    g_autofree char *log = ingot_workdir_file(*state, "data/catalogue.sqlite-wal");
    g_autofree char *old_log = ingot_workdir_file(*state, "data/catalogue.sqlite.old-wal");
    fill(state);
    for (guint i = 0; i < 3; i++) {
        RebuildReport report;
        g_autofree char *text = g_strdup_printf("the log of try %u", i), *kept = NULL;
        assert_true(g_file_set_contents(log, text, -1, NULL));
        assert_int_equal(g_rename(catalogue, old), 0);
        if (i == 1) {
            assert_int_equal(g_rename(log, old_log), 0);
        } else {
            g_unlink(old_log);
        }
        assert_true(storage_rebuild(data, &(RebuildOptions){0}, &report, NULL));
        assert_true(g_file_test(old, G_FILE_TEST_EXISTS));
        assert_false(g_file_test(log, G_FILE_TEST_EXISTS));
        assert_true(g_file_get_contents(old_log, &kept, NULL, NULL));
        assert_string_equal(kept, text);
    }
}

/* Ways in which the log begins anew while something is given up. */
static void begin_anew(void **state, guint way)
{
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log");
    g_autofree char *data = ingot_workdir_file(*state, "data");
    guint64 number;
    GStatBuf st;
    if (way == 0) { /* a collection finds it long, twice */
        for (guint i = 0; i < 2; i++) {
            g_autoptr(Storage) storage = open_storage(state);
            g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
            const CollectOptions options = {.tell = add_line, .user = lines};
            CollectReport report;
            storage_limit(storage, &(StorageLimits){.log = 1, .keep_events = 1});
            for (guint k = 1; i == 1 && k < 60; k++) {
                put_tag_of(storage, k);
            }
            assert_true(storage_collect(storage, &options, &report, NULL));
            assert_int_equal(count_lines(lines, "the log of events begins anew with a checkpoint"), 1);
        }
    } else if (way == 1) { /* its last event is damaged */
        assert_int_equal(g_stat(log, &st), 0);
        flip(log, (guint64)st.st_size - 10);
        storage_close(open_storage(state));
    } else { /* an operator asks for it */
        assert_true(storage_rebuild_events(data, FALSE, &number, NULL));
    }
    assert_opens_clean(state, "a log that began anew while something was given up");
}

/* What was given up is not forgotten with the log that told of it. */
static void a_checkpoint_forgets_nothing_given_up(void **state)
{
    for (guint way = 0; way < 3; way++) {
        GByteArray *versions[IMAGES];
        push_versions(state, versions, IMAGES);
        g_autoptr(GByteArray) text = g_byte_array_new();
        g_byte_array_append(text, (const guint8 *)"\"text\":\"3.0.0\"", 14);
        g_autofree char *name = take_pack_away(state, text);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
        assert_true(rebuild(state, lines).lost > 0);
        begin_anew(state, way);
        bring_pack_back(state, name);
        assert_int_equal(rebuild(state, again).lost, 0);
        IngotDigest manifest;
        g_autoptr(Storage) storage = open_storage(state);
        assert_true(storage_find_tag(storage, "a", "3.0.0", &manifest, NULL));
        g_clear_pointer(&storage, storage_close);
        collect_at_once(state);
        assert_has(state, versions, 0, IMAGES);
        assert_opens_clean(state, name);
        free_versions(versions, IMAGES);
        tear_down(state);
        assert_int_equal(set_up(state), 0);
    }
}

/* The checkpoint that names stand in is damaged, and no log of before tells more: it is made anew by the very rebuild
 * that gives them up. */
static void a_mended_checkpoint_forgets_nothing_given_up(void **state)
{
    GByteArray *versions[IMAGES];
    push_versions(state, versions, IMAGES);
    {
        g_autoptr(Storage) storage = open_storage(state);
        CollectReport report;
        storage_limit(storage, &(StorageLimits){.log = 1, .keep_events = 1});
        assert_true(storage_collect(storage, &(CollectOptions){0}, &report, NULL));
    }
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log"), *all = NULL;
    gsize size;
    assert_true(g_file_get_contents(log, &all, &size, NULL));
    const char *other = strstr(all, "\"1.0.0\"");
    assert_non_null(other);
    flip(log, (guint64)(other - all) + 1); /* of another version */
    g_auto(GStrv) kept = checkpoint_kept(log);
    for (guint i = 0; kept[i] != NULL; i++) {
        assert_int_equal(g_unlink(kept[i]), 0);
    }
    g_autoptr(GByteArray) text = g_byte_array_new();
    g_byte_array_append(text, (const guint8 *)"\"text\":\"3.0.0\"", 14);
    g_autofree char *name = take_pack_away(state, text);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_true(rebuild(state, lines).lost > 1);
    assert_opens_clean(state, "a checkpoint that was mended");
    bring_pack_back(state, name);
    assert_int_equal(rebuild(state, again).lost, 0);
    IngotDigest manifest;
    g_autoptr(Storage) storage = open_storage(state);
    assert_true(storage_find_tag(storage, "a", "3.0.0", &manifest, NULL));
    free_versions(versions, IMAGES);
}

/* The table of a blob that was deleted counts on pieces that are gone: it is no damage. */
static void a_deleted_blob_is_no_damage(void **state)
{
    GByteArray *versions[IMAGES];
    push_versions(state, versions, IMAGES);
    {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GByteArray) last = frames(102, 2, 8000); /* what the second one brought */
        IngotDigest digest = push(storage, "a", last);
        put_manifest(storage, "a", "9.0.0", "9.0.0", &digest, 1);
    }
    for (guint i = 0; i < IMAGES; i++) {
        g_autofree char *tag = g_strdup_printf("%u.0.0", i + 1);
        delete_version(state, versions[i], tag);
    }
    collect_at_once(state);
    guint64 pieces;
    {
        g_autoptr(Storage) storage = open_storage(state);
        pieces = stats_of(storage).pieces;
    }
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, lines).lost, 0);
    g_autoptr(Storage) storage = open_storage(state);
    assert_int_equal(stats_of(storage).damaged, 0);
    assert_in_range(stats_of(storage).pieces, pieces, G_MAXINT);
    storage_close(g_steal_pointer(&storage));
    assert_opens_clean(state, "a deleted blob");
    free_versions(versions, IMAGES);
}

/* A pack a part of which can't be read for a while is not written anew without it. */
static void a_segment_that_can_be_read_again_has_lost_nothing(void **state)
{
    g_autoptr(GByteArray) small = noise(70, 5000), large = noise(71, 60000);
    {
        g_autoptr(Storage) storage = open_storage(state);
        push(storage, "a", small);
        push(storage, "a", large);
    }
    g_autofree char *pack = ingot_workdir_file(*state, "data/packs/00000001.pack"), *all = NULL;
    g_autoptr(GArray) offsets = join_packs(state, NULL);
    gsize size;
    assert_true(g_file_get_contents(pack, &all, &size, NULL));
    guint64 head = (guint64)((char *)memmem(all, size, large->data, large->len) - all) - SEGMENT_HEAD;
    flip(pack, head);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_true(rebuild(state, lines).lost > 0);
    {
        g_autoptr(Storage) storage = open_storage(state);
        const CollectOptions options = {.grace = 1000};
        CollectReport report;
        assert_true(storage_collect(storage, &options, &report, NULL));
        pull(storage, "a", small);
    }
    flip(pack, head);
    assert_int_equal(rebuild(state, again).lost, 0);
    g_autoptr(Storage) storage = open_storage(state);
    pull(storage, "a", small);
    pull(storage, "a", large);
}

/* With the names the bytes are not lost: whoever pushes the names again finds them, for a while. */
static void bytes_outlive_their_names(void **state)
{
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log");
    g_autoptr(GByteArray) bytes = noise(1, 5000);
    IngotDigest digest;
    {
        g_autoptr(Storage) storage = open_storage(state);
        digest = push(storage, "a", bytes);
        put_manifest(storage, "a", "1.0.0", "named", &digest, 1);
    }
    assert_int_equal(g_unlink(log), 0);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, lines).tags, 0);
    collect_at_once(state);
    assert_opens_clean(state, "lost names");
    g_autoptr(GPtrArray) again = g_ptr_array_new_with_free_func(g_free);
    assert_int_equal(rebuild(state, again).lost, 0);
    collect_at_once(state);
    g_autoptr(Storage) storage = open_storage(state);
    StorageStats stats;
    assert_true(storage_stats(storage, &stats, NULL));
    assert_true(stats.logical >= bytes->len);
    g_auto(GStrv) names = storage_repositories(storage, NULL);
    assert_null(names[0]);
    assert_true(storage_mount(storage, NULL, LOST_FOUND, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

/* --- a catalogue that was put back, which is older than its log --- */

static void copy_catalogue(void **state, gboolean back)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *name = g_strconcat("data/catalogue.sqlite", suffixes[i], NULL);
        g_autofree char *kept = g_strconcat("kept", suffixes[i], NULL);
        g_autofree char *there = ingot_workdir_file(*state, name), *away = ingot_workdir_file(*state, kept);
        g_autofree char *bytes = NULL;
        gsize size;
        g_unlink(back ? there : away);
        if (g_file_get_contents(back ? away : there, &bytes, &size, NULL)) {
            assert_true(g_file_set_contents(back ? there : away, bytes, (gssize)size, NULL));
        }
    }
}

/* Ways in which the log may be, with all that was pushed since: whole; its middle damaged, where the older catalogue
 * ends; begun anew. */
static void an_older_catalogue_makes_no_log(void **state)
{
    g_autofree char *data = ingot_workdir_file(*state, "data"), *log = ingot_workdir_file(*state, "data/names.log");
    g_autoptr(GByteArray) bytes = noise(100, 5000);
    fill(state);
    for (guint way = 0; way < 3; way++) {
        g_autoptr(GError) error = NULL;
        guint64 number;
        g_autofree char *before = NULL, *after = NULL, *refused = NULL, *tag = g_strdup_printf("2.%u.0", way);
        gsize size, all, same;
        copy_catalogue(state, FALSE);
        assert_true(g_file_get_contents(log, &before, &size, NULL));
        Storage *storage = open_storage(state);
        IngotDigest digest = push(storage, "a", bytes);
        put_manifest(storage, "a", tag, tag, &digest, 1);
        put_manifest(storage, "a", "dev", tag, &digest, 1);
        if (way == 2) {
            CollectReport report;
            storage_limit(storage, &(StorageLimits){.log = 1});
            for (guint i = 0; i < 30; i++) {
                put_manifest(storage, "a", i % 2 == 0 ? "dev" : "test", i % 3 == 0 ? "x" : "y", &digest, 1);
            }
            assert_true(storage_collect(storage, &(CollectOptions){.grace = 1000}, &report, NULL));
        }
        g_auto(GStrv) tags = storage_tags(storage, "a", NULL);
        storage_close(storage);
        copy_catalogue(state, TRUE);
        if (way == 1) {
            flip(log, size - 10);
        }
        assert_true(g_file_get_contents(log, &after, &all, NULL));
        assert_int_equal(memcmp(before, after, 100) != 0, way == 2); /* it has begun anew */
        assert_null(storage_open(data, NULL));
        assert_false(storage_rebuild_events(data, FALSE, &number, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "ingotd rebuild --data"));
        assert_true(g_file_get_contents(log, &refused, &same, NULL));
        assert_int_equal(same, all);
        assert_memory_equal(after, refused, all);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        rebuild(state, lines); /* as it says */
        storage = open_storage(state);
        g_auto(GStrv) again = storage_tags(storage, "a", NULL);
        assert_true(g_strv_equal((const char *const *)tags, (const char *const *)again));
        storage_close(storage);
    }
    copy_catalogue(state, FALSE);
    Storage *storage = open_storage(state);
    for (guint i = 0; i < 3; i++) {
        put_tag_of(storage, i);
    }
    storage_close(storage);
    copy_catalogue(state, TRUE);
    guint64 number;
    assert_true(storage_rebuild_events(data, TRUE, &number, NULL)); /* whoever wants it */
    assert_opens_clean(state, "a log of an older catalogue");
}

static void add_told(const char *line, gpointer user)
{
    g_ptr_array_add(user, g_strdup(line));
}

/* A collection names once what keeps it from collecting in a repository, a dry one too. */
static void assert_blind(void **state, const IngotDigest *manifest)
{
    for (guint dry = 0; dry < 2; dry++) {
        CollectReport report;
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
        const CollectOptions options = {.dry_run = dry != 0, .tell = add_told, .user = lines};
        g_autofree char *text = ingot_digest_to_text(manifest);
        assert_true(storage_collect(storage, &options, &report, NULL));
        guint found = 0;
        for (guint i = 0; i < lines->len; i++) {
            const char *line = g_ptr_array_index(lines, i);
            found += g_str_has_prefix(line, "a: ") && strstr(line, text) != NULL;
        }
        assert_int_equal(found, 1);
    }
}

/* What a manifest needs that can't be read stays, until it is pushed again or deleted, also where other manifests are
 * about it. */
static void layers_outlive_a_damaged_manifest(void **state)
{
    g_autoptr(GByteArray) bytes = noise(1, 5000), other = noise(2, 5000);
    IngotDigest digest, manifest, report;
    {
        g_autoptr(Storage) storage = open_storage(state);
        digest = push(storage, "a", bytes);
        manifest = put_manifest(storage, "a", "1.0.0", "the damaged one", &digest, 1);
        assert_true(try_manifest(storage, "a", NULL, "attached to it", NULL, 0, &manifest, &report, NULL));
    }
    g_autofree char *packs = ingot_workdir_file(*state, "data/packs");
    g_autoptr(GDir) folder = g_dir_open(packs, 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *file = g_build_filename(packs, name, NULL), *all = NULL;
        gsize size;
        assert_true(g_file_get_contents(file, &all, &size, NULL));
        const char *at = memmem(all, size, "the damaged one", strlen("the damaged one"));
        if (at != NULL) {
            flip(file, (guint64)(at - all));
        }
    }
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    assert_true(rebuild(state, lines).lost > 0);
    collect_at_once(state);
    assert_blind(state, &manifest);
    g_autoptr(Storage) storage = open_storage(state);
    pull(storage, "a", bytes);
    put_manifest(storage, "a", "1.0.0", "the damaged one", &digest, 1);
    push(storage, "a", other);
    storage_close(g_steal_pointer(&storage));
    collect_at_once(state);
    storage = open_storage(state);
    pull(storage, "a", bytes);
    IngotDigest gone = digest_of(other);
    assert_false(storage_has(storage, "a", &gone));
    assert_true(storage_has_manifest(storage, "a", &manifest));
}

/* A log that is lost makes nothing of a whole catalogue worse. */
static void a_whole_catalogue_is_not_given_up(void **state)
{
    g_autofree char *data = ingot_workdir_file(*state, "data");
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log");
    fill(state);
    g_autofree char *text = NULL;
    gsize size;
    assert_true(g_file_get_contents(log, &text, &size, NULL));
    for (guint kind = 0; kind < 2; kind++) {
        RebuildReport report;
        RebuildOptions options = {0};
        guint64 number;
        g_autoptr(GError) error = NULL;
        assert_int_equal(kind == 0 ? g_unlink(log) : truncate(log, (off_t)size / 2), 0);
        assert_false(storage_rebuild(data, &options, &report, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "--events"));
        g_clear_error(&error);
        if (!storage_rebuild_events(data, FALSE, &number, &error)) {
            fail_msg("%u: %s", kind, error->message);
        }
        g_autoptr(Storage) storage = open_storage(state);
        g_auto(GStrv) tags = storage_tags(storage, "a", NULL);
        assert_int_equal(g_strv_length(tags), IMAGES - 1);
        storage_close(g_steal_pointer(&storage));
        assert_opens_clean(state, "a log made anew");
        g_free(text);
        assert_true(g_file_get_contents(log, &text, &size, NULL));
    }
    RebuildReport report;
    const RebuildOptions force = {.force = TRUE};
    assert_int_equal(g_unlink(log), 0);
    assert_true(storage_rebuild(data, &force, &report, NULL));
    assert_true(report.lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_damaged_event_costs_its_own_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_event_is_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_lost_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_tag_is_not_an_older_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_segment_costs_its_own_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pack_that_cannot_be_read_costs_its_own_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_push_mends_what_was_rebuilt_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_segment_within_a_blob_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_pack_stops_no_collection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_never_committed_is_not_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_of_a_transaction_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_are_those_of_the_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pack_that_comes_back_has_lost_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_manifest_that_comes_back_has_its_layers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blob_that_comes_back_has_its_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_old_catalogue_outlives_a_kill, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_forgets_nothing_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mended_checkpoint_forgets_nothing_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_blob_is_no_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_segment_that_can_be_read_again_has_lost_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_outlive_their_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_catalogue_makes_no_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(layers_outlive_a_damaged_manifest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_whole_catalogue_is_not_given_up, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
