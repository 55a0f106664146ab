/* Backups: what one run has read it does not read again. */
#include "../fixture.h"

#include <dlfcn.h>

#include "server/packs/packs.h"
#include "server/storage/backup.h"
#include "server/storage/collect.h"

/* What is watched of the files that are opened, here in place of libc. */
static struct {
    const char *folder; /* of whose files: NULL: of none */
    GHashTable *opened; /* path -> how often */
} watched;

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    }
    if (watched.folder != NULL && g_str_has_prefix(path, watched.folder)) {
        guint count = GPOINTER_TO_UINT(g_hash_table_lookup(watched.opened, path));
        g_hash_table_insert(watched.opened, g_strdup(path), GUINT_TO_POINTER(count + 1));
    }
    return real(path, flags, mode);
}

static void collect_line(const char *line, gpointer user)
{
    g_ptr_array_add(user, g_strdup(line));
}

static GPtrArray *lines_new(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

static void back_up(void **state, void (*tell)(const char *line, gpointer user), gpointer user)
{
    g_autofree char *data = ingot_workdir_file(*state, "data"), *folder = ingot_workdir_file(*state, "backup");
    g_autoptr(GError) error = NULL;
    BackupReport report;
    if (!storage_backup(data, folder, tell, user, &report, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(report.damaged, 0);
}

static void put_image(Storage *storage, guint seed)
{
    g_autoptr(GByteArray) bytes = noise(seed, 5000);
    g_autofree char *tag = g_strdup_printf("1.%u.0", seed);
    IngotDigest digest = push(storage, "a", bytes);
    put_manifest(storage, "a", tag, tag, &digest, 1);
}

/* Numbers of the packs in a folder, ascending. */
static GArray *packs_in(void **state, const char *folder)
{
    g_autofree char *path = ingot_workdir_file(*state, folder);
    Packs *packs = packs_open(path, NULL);
    GArray *list = packs_list(packs, NULL);
    packs_close(packs);
    return list;
}

static char *pack_in(void **state, const char *folder, gint64 number)
{
    g_autofree char *path = ingot_workdir_file(*state, folder);
    Packs *packs = packs_open(path, NULL);
    char *file = packs_path(packs, number);
    packs_close(packs);
    return file;
}

/* Changes a byte of this name's file alone, not of the one that it is a link to. */
static void flip_copy(const char *path, gsize at)
{
    g_autofree char *all = NULL;
    gsize size;
    assert_true(g_file_get_contents(path, &all, &size, NULL));
    all[at] ^= 0x10;
    assert_true(g_file_set_contents(path, all, (gssize)size, NULL));
}

/* --- tries --- */

typedef struct {
    Storage *storage;
    guint seed; /* of the image that goes */
    guint heard;
} Meanwhile;

static void collect_image(const Meanwhile *meanwhile)
{
    g_autofree char *tag = g_strdup_printf("1.%u.0", meanwhile->seed);
    assert_true(storage_remove_tag(meanwhile->storage, NULL, "a", tag, NULL));
    for (guint i = 0; i < 2; i++) {
        CollectReport report;
        assert_true(storage_collect(meanwhile->storage, &(CollectOptions){0}, &report, NULL));
    }
}

/* While the backup runs, packs go that the catalogue it has copied knows. */
static void collect_meanwhile(const char *line, gpointer user)
{
    Meanwhile *meanwhile = user;
    (void)line;
    if (meanwhile->heard++ == 0) {
        collect_image(meanwhile);
    }
}

static gboolean has_number(const GArray *list, gint64 number)
{
    gboolean found = FALSE;
    for (guint i = 0; i < list->len; i++) {
        found |= g_array_index(list, gint64, i) == number;
    }
    return found;
}

/* The newest pack of those that are not old, where three old ones come right before it: the first of them. */
static gboolean find_three_old(const GArray *now, const GArray *old, gint64 *first, gint64 *next)
{
    guint i = now->len;
    while (i > 0 && has_number(old, g_array_index(now, gint64, i - 1))) {
        i--;
    }
    for (guint k = 2; i > 3 && k < 5; k++) {
        if (!has_number(old, g_array_index(now, gint64, i - k))) {
            return FALSE;
        }
    }
    *first = i > 3 ? g_array_index(now, gint64, i - 4) : 0;
    *next = i > 3 ? g_array_index(now, gint64, i - 1) : 0;
    return i > 3;
}

/* A collection takes packs away while a backup runs: it begins with another catalogue, and reads no pack again that it
 * has read. */
static void another_try_reads_nothing_again(void **state)
{
    Meanwhile meanwhile = {.storage = open_storage(state), .seed = 100};
    for (guint i = 0; i < 5; i++) {
        put_image(meanwhile.storage, i);
    }
    g_autoptr(GPtrArray) none = lines_new();
    back_up(state, collect_line, none);
    g_autoptr(GArray) old = packs_in(state, "backup/packs");
    g_autoptr(GArray) now = NULL;
    gint64 damaged, goes;
    while (TRUE) { /* until the try reads two whole packs between the damaged one and one that goes */
        put_image(meanwhile.storage, ++meanwhile.seed);
        g_clear_pointer(&now, g_array_unref);
        now = packs_in(state, "data/packs");
        if (find_three_old(now, old, &damaged, &goes)) {
            break;
        }
        collect_image(&meanwhile);
    }
    g_autofree char *file = pack_in(state, "backup/packs", damaged), *gone = pack_in(state, "data/packs", goes);
    g_autofree char *folder = ingot_workdir_file(*state, "backup/packs");
    flip_copy(file, 200);
    watched.folder = folder;
    watched.opened = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    back_up(state, collect_meanwhile, &meanwhile);
    watched.folder = NULL;
    assert_false(g_file_test(gone, G_FILE_TEST_EXISTS));
    assert_int_equal(meanwhile.heard, 1);
    for (guint i = 0; i < old->len; i++) {
        g_autofree char *one = pack_in(state, "backup/packs", g_array_index(old, gint64, i));
        if (g_array_index(old, gint64, i) != damaged) {
            assert_int_equal(GPOINTER_TO_UINT(g_hash_table_lookup(watched.opened, one)), 1);
        }
    }
    g_clear_pointer(&watched.opened, g_hash_table_unref);
    storage_close(meanwhile.storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_try_reads_nothing_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
