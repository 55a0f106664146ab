/* Backups: what one run has read it does not read again, and what is whole beside damage can be had. */
#include "../fixture.h"

#include <dlfcn.h>

#include "base/json.h"
#include "server/packs/packs.h"
#include "server/storage/backup.h"
#include "server/storage/collect.h"

#define SECTOR 4096u

/* What is watched of files, and what a bad disk does to them, here in place of libc. */
static struct {
    const char *folder; /* whose files are counted; NULL: none */
    GHashTable *opened; /* path -> how often */
    const char *bad;    /* file of which one sector can't be read; NULL: none */
    off_t sector;       /* where that begins */
    gboolean far;       /* the packs are on another file system: no links */
} watched;

static gboolean is_bad(int fd, off_t from, size_t size)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *path = watched.bad == NULL ? NULL : g_file_read_link(link, NULL);
    return g_strcmp0(path, watched.bad) == 0 && path != NULL && from < watched.sector + (off_t)SECTOR &&
           from + (off_t)size > watched.sector;
}

ssize_t pread(int fd, void *buffer, size_t size, off_t at)
{
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pread");
    }
    if (is_bad(fd, at, size)) {
        errno = EIO;
        return -1;
    }
    return real(fd, buffer, size, at);
}

int link(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "link");
    }
    if (watched.far && strstr(from, "/data/packs/") != NULL) {
        errno = EXDEV;
        return -1;
    }
    return real(from, to);
}

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

static BackupReport back_up_as(void **state, gboolean quick, void (*tell)(const char *line, gpointer user),
                               gpointer user)
{
    g_autofree char *data = ingot_workdir_file(*state, "data"), *folder = ingot_workdir_file(*state, "backup");
    g_autoptr(GError) error = NULL;
    BackupReport report;
    if (!storage_backup(data, folder, quick, tell, user, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

static BackupReport back_up_anyhow(void **state, void (*tell)(const char *line, gpointer user), gpointer user)
{
    return back_up_as(state, FALSE, tell, user);
}

static void back_up(void **state, void (*tell)(const char *line, gpointer user), gpointer user)
{
    assert_int_equal(back_up_anyhow(state, tell, user).damaged, 0);
}

static gboolean restore(void **state, gboolean force, GPtrArray *lines, BackupReport *report, GError **error)
{
    g_autofree char *folder = ingot_workdir_file(*state, "backup"), *to = ingot_workdir_file(*state, "restored");
    ingot_file_remove_tree(to, NULL);
    return storage_restore(folder, to, force, collect_line, lines, report, error);
}

/* A restore is refused, leaves nothing, and says what goes on. */
static void assert_refused(void **state)
{
    g_autofree char *to = ingot_workdir_file(*state, "restored");
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    assert_false(restore(state, FALSE, lines, &report, &error));
    assert_non_null(strstr(error->message, "nothing is restored"));
    assert_non_null(strstr(error->message, "ingotd restore --force"));
    assert_false(g_file_test(to, G_FILE_TEST_EXISTS));
}

static guint count_lines(const GPtrArray *lines, const char *text)
{
    guint count = 0;
    for (guint i = 0; i < lines->len; i++) {
        count += strstr(g_ptr_array_index(lines, i), text) != NULL;
    }
    return count;
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
    GPtrArray *lines;
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
    collect_line(line, meanwhile->lines);
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
    g_autoptr(GPtrArray) lines = lines_new();
    Meanwhile meanwhile = {.storage = open_storage(state), .seed = 100, .lines = lines};
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

#define IMAGES 5

/* The seeds of the images whose packs a backup brings first and last. */
static void find_ends(void **state, guint *first, guint *last)
{
    g_autoptr(GArray) packs = packs_in(state, "data/packs");
    gboolean any = FALSE;
    for (guint i = 0; i < packs->len; i++) {
        g_autofree char *file = pack_in(state, "data/packs", g_array_index(packs, gint64, i));
        for (guint seed = 0; seed < IMAGES; seed++) {
            g_autoptr(GByteArray) bytes = noise(seed, 5000);
            g_autofree char *own = pack_of(state, bytes);
            if (strcmp(own, file) == 0) {
                *first = any ? *first : seed;
                *last = seed;
                any = TRUE;
            }
        }
    }
}

/* Changes a byte of an image in the data folder, or changes it back. */
static void flip_image(void **state, guint seed)
{
    g_autoptr(GByteArray) bytes = noise(seed, 5000);
    g_autofree char *all = NULL;
    gsize size;
    g_byte_array_remove_range(bytes, 0, 200); /* the byte lies in what is not looked for */
    g_autofree char *pack = pack_of(state, bytes);
    assert_true(g_file_get_contents(pack, &all, &size, NULL));
    flip(pack, (guint64)((char *)memmem(all, size, bytes->data, bytes->len) - all) - 100);
}

/* A pack with a damaged piece is brought, and one behind it goes meanwhile: the further try neither brings the first
 * again nor counts its damage twice. */
static void another_try_counts_nothing_again(void **state)
{
    g_autoptr(GPtrArray) lines = lines_new();
    Meanwhile meanwhile = {.storage = open_storage(state), .lines = lines};
    guint damaged = 0;
    for (guint i = 0; i < IMAGES; i++) {
        put_image(meanwhile.storage, i);
    }
    find_ends(state, &damaged, &meanwhile.seed);
    assert_int_not_equal(damaged, meanwhile.seed);
    flip_image(state, damaged);
    BackupReport report = back_up_anyhow(state, collect_meanwhile, &meanwhile);
    assert_true(meanwhile.heard > 0);
    assert_int_equal(report.damaged, 1);
    assert_int_equal(report.copied, report.packs);
    assert_int_equal(lines->len, 1);
    storage_close(meanwhile.storage);
}

/* --- damage --- */

#define PIECES 4
#define PIECE 60000

static void fill(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(500, PIECES, PIECE);
    IngotDigest digest = push(storage, "a", bytes);
    put_manifest(storage, "a", "9.0.0", "several pieces", &digest, 1);
    for (guint i = 0; i < 3; i++) {
        put_image(storage, i);
    }
}

/* The pack of the image of several pieces; *at: where the middle of its second one is. */
static char *pack_of_several(void **state, const char *where, guint64 *at)
{
    g_autofree char *folder = ingot_workdir_file(*state, where);
    g_autoptr(GByteArray) second = frame(501, PIECE, TRUE);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *file = g_build_filename(folder, name, NULL), *all = NULL;
        gsize size;
        const char *place = NULL;
        if (g_file_get_contents(file, &all, &size, NULL)) {
            place = memmem(all, size, second->data, second->len);
        }
        if (place != NULL) {
            *at = (guint64)(place - all) + second->len / 2;
            return g_steal_pointer(&file);
        }
    }
    return NULL;
}

static Storage *open_restored(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "restored");
    g_autoptr(GError) error = NULL;
    Storage *storage = storage_open(path, &error);
    if (storage == NULL) {
        fail_msg("%s", error->message);
    }
    return storage;
}

static void assert_others_whole(void **state)
{
    g_autoptr(Storage) storage = open_restored(state);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 5000);
        pull(storage, "a", bytes);
    }
}

typedef enum { FLIPPED, SHORT, GONE, NOT_A_FILE, UNREADABLE, KINDS } Kind;

static void spoil(const char *file, guint64 at, Kind kind)
{
    switch (kind) {
    case FLIPPED:
        flip_copy(file, at);
        break;
    case SHORT:
        flip_copy(file, at); /* no link any more */
        flip_copy(file, at);
        assert_int_equal(truncate(file, (off_t)at), 0);
        break;
    case GONE:
    case NOT_A_FILE:
    case UNREADABLE:
    case KINDS:
        assert_int_equal(g_unlink(file), 0);
        assert_true(kind != NOT_A_FILE || g_mkdir(file, 0700) == 0);
        assert_true(kind != UNREADABLE || symlink(file, file) == 0); /* opening it fails */
        break;
    }
}

/* A pack of the backup is damaged in any way: that is said, nothing is restored, and if it is forced, all others are,
 * and the image that needs it is named. */
static void what_is_whole_can_be_had(void **state)
{
    fill(state);
    for (Kind kind = 0; kind < KINDS; kind++) {
        g_autofree char *folder = ingot_workdir_file(*state, "backup");
        g_autoptr(GPtrArray) lines = lines_new();
        g_autoptr(GError) error = NULL;
        BackupReport report;
        guint64 at;
        ingot_file_remove_tree(folder, NULL);
        back_up(state, collect_line, lines);
        g_autofree char *file = pack_of_several(state, "backup/packs", &at);
        spoil(file, at, kind);
        assert_refused(state);
        if (!restore(state, TRUE, lines, &report, &error)) {
            fail_msg("%u: %s", kind, error->message);
        }
        assert_true(report.damaged > 0);
        assert_true(count_lines(lines, file) > 0);
        assert_true(count_lines(lines, "needed by a:9.0.0") > 0);
        assert_int_equal(count_lines(lines, "needed by a:1."), 0);
        assert_others_whole(state);
    }
}

/* Damage that is still there is told again, and what has been put right in the data folder is brought. */
static void damage_is_told_each_time(void **state)
{
    {
        g_autoptr(Storage) storage = open_storage(state);
        put_image(storage, 1);
    }
    flip_image(state, 1);
    g_autoptr(GPtrArray) lines = lines_new();
    for (guint i = 0; i < 3; i++) {
        assert_int_equal(back_up_anyhow(state, collect_line, lines).damaged, 1);
        assert_int_equal(count_lines(lines, "damaged: piece"), i + 1);
    }
    flip_image(state, 1); /* put right */
    back_up(state, collect_line, lines);
    assert_int_equal(lines->len, 3);
}

/* Two backups to one folder would take each other's files. */
static void one_backup_at_a_time(void **state)
{
    g_autofree char *data = ingot_workdir_file(*state, "data"), *folder = ingot_workdir_file(*state, "backup");
    g_autofree char *file = ingot_workdir_file(*state, "backup/.lock");
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    {
        g_autoptr(Storage) storage = open_storage(state);
        put_image(storage, 1);
    }
    back_up(state, collect_line, lines);
    g_autoptr(IngotLock) lock = ingot_lock_take(file, TRUE, FALSE, NULL);
    assert_non_null(lock);
    assert_false(storage_backup(data, folder, FALSE, collect_line, lines, &report, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
    assert_non_null(strstr(error->message, "another backup"));
    g_clear_pointer(&lock, ingot_lock_release);
    back_up(state, collect_line, lines);
}

/* A lock that can't be had for another reason is no other process. */
static void what_keeps_a_lock_is_said(void **state)
{
    static const char *const folders[] = {"data", "backup"};
    g_autofree char *data = ingot_workdir_file(*state, "data"), *folder = ingot_workdir_file(*state, "backup");
    g_autoptr(GPtrArray) lines = lines_new();
    BackupReport report;
    fill(state);
    back_up(state, collect_line, lines);
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = ingot_workdir_file(*state, folders[i]), *file = g_build_filename(path, ".lock", NULL);
        g_autoptr(GError) error = NULL;
        assert_int_equal(g_unlink(file), 0);
        assert_int_equal(g_mkdir(file, 0700), 0);
        if (i == 0) {
            assert_null(storage_open(data, &error));
        } else {
            assert_false(storage_backup(data, folder, FALSE, collect_line, lines, &report, &error));
        }
        assert_false(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS));
        assert_non_null(strstr(error->message, file));
        assert_null(strstr(error->message, "another"));
    }
}

/* A sector can't be read: the piece that lies in it is damaged, and no other of its pack. */
static void a_bad_sector_costs_its_piece_alone(void **state)
{
    fill(state);
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    guint64 at;
    back_up(state, collect_line, lines);
    g_autofree char *file = pack_of_several(state, "backup/packs", &at);
    watched.sector = (off_t)(at / SECTOR * SECTOR);
    watched.bad = file;
    gboolean refused = !restore(state, FALSE, lines, &report, &error);
    g_autofree char *to = ingot_workdir_file(*state, "restored");
    gboolean left = g_file_test(to, G_FILE_TEST_EXISTS);
    gboolean says = error != NULL && strstr(error->message, "ingotd restore --force") != NULL;
    g_clear_error(&error);
    gboolean ok = restore(state, TRUE, lines, &report, &error);
    watched.bad = NULL;
    assert_true(refused);
    assert_true(says);
    assert_false(left);
    assert_true(ok);
    assert_int_equal(report.damaged, 2); /* the file and the piece */
    assert_int_equal(count_lines(lines, "4096 bytes of it can't be read"), 1);
    assert_others_whole(state);
}

/* The same in the data folder while a backup copies it: it has all the rest, and another one brings what is mended. */
static void a_bad_sector_costs_no_backup(void **state)
{
    fill(state);
    g_autoptr(GPtrArray) lines = lines_new();
    guint64 at;
    g_autofree char *file = pack_of_several(state, "data/packs", &at);
    watched.sector = (off_t)(at / SECTOR * SECTOR);
    watched.far = TRUE;
    watched.bad = file;
    BackupReport report = back_up_anyhow(state, collect_line, lines);
    watched.bad = NULL;
    assert_int_equal(report.damaged, 2);
    assert_int_equal(count_lines(lines, "4096 bytes of it can't be read"), 1);
    assert_int_equal(count_lines(lines, "damaged: piece"), 1);
    back_up(state, collect_line, lines);
    watched.far = FALSE;
    g_autoptr(GError) error = NULL;
    if (!restore(state, FALSE, lines, &report, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(report.damaged, 0);
    assert_others_whole(state);
}

/* --- logs that are kept --- */

/* What the log's name of a checkpoint has in the backup and in what is restored of it; NULL: it has none. */
static void assert_kept(void **state, const char *name, const char *text)
{
    static const char *const folders[] = {"backup", "restored"};
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    back_up(state, collect_line, lines);
    if (!restore(state, FALSE, lines, &report, &error)) {
        fail_msg("%s", error->message);
    }
    for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *folder = ingot_workdir_file(*state, folders[i]), *found = NULL;
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_file_get_contents(path, &found, NULL, NULL);
        assert_int_equal(g_strcmp0(found, text), 0);
    }
}

/* The backup's kept logs are those of the data folder, whatever it had under their names. */
static void kept_logs_are_those_of_the_folder(void **state)
{
    static const char name[] = "names.log.000000000003";
    g_autofree char *path = ingot_workdir_file(*state, "data/names.log.000000000003");
    fill(state);
    assert_true(g_file_set_contents(path, "one history", -1, NULL));
    assert_kept(state, name, "one history");
    assert_true(g_file_set_contents(path, "another one", -1, NULL));
    assert_kept(state, name, "another one");
    flip_copy(path, 0); /* of the same size */
    assert_kept(state, name, "qnother one");
    assert_int_equal(g_unlink(path), 0);
    assert_kept(state, name, NULL);
}

/* A switch of logs that is killed leaves the one that lives a second name: what is appended then is not in the backup,
 * and does not damage it. */
static void a_log_that_lives_is_not_linked(void **state)
{
    fill(state);
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *log = ingot_workdir_file(*state, "data/names.log");
    g_autofree char *kept = ingot_workdir_file(*state, "data/names.log.000000000007");
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    assert_int_equal(link(log, kept), 0);
    back_up(state, collect_line, lines);
    put_image(storage, 77);
    if (!restore(state, FALSE, lines, &report, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(report.damaged, 0);
    assert_others_whole(state);
}

/* Uploads that were under way are in no backup, and take no room in what is restored. */
static void uploads_are_not_restored(void **state)
{
    static const char *const tables[] = {"uploads", "leases"};
    fill(state);
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(800, 3, PIECE);
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *id = begin_upload(storage, &error);
    BackupReport report;
    assert_non_null(id);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, &error));
    in_catalogue(state, "INSERT INTO leases (id, until, epoch) VALUES ('x', 1<<40, 1)");
    back_up(state, collect_line, lines);
    if (!restore(state, FALSE, lines, &report, &error)) {
        fail_msg("%s", error->message);
    }
    g_autofree char *path = ingot_workdir_file(*state, "restored/catalogue.sqlite");
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        g_autofree char *sql = g_strdup_printf("SELECT count(*) FROM %s", tables[i]);
        sqlite3_stmt *rows;
        assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &rows, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(rows, 0), 0);
        sqlite3_finalize(rows);
    }
    sqlite3_close(handle);
}

/* A quick backup reads no pack that an earlier one brought and that nobody has written to since; any other it does, and
 * what is damaged comes again. */
static void a_quick_one_reads_what_is_new_or_changed(void **state)
{
    fill(state);
    g_autoptr(GPtrArray) lines = lines_new();
    back_up(state, collect_line, lines);
    g_autofree char *folder = ingot_workdir_file(*state, "backup/packs");
    g_autoptr(GArray) old = packs_in(state, "backup/packs");
    g_autofree char *changed = pack_in(state, "backup/packs", g_array_index(old, gint64, 0));
    for (guint i = 0; i < 3; i++) {
        g_autoptr(Storage) storage = open_storage(state);
        put_image(storage, 100 + i);
        g_clear_pointer(&storage, storage_close);
        if (i == 1) {
            flip_copy(changed, 200);
        }
        watched.folder = folder;
        watched.opened = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        BackupReport report = back_up_as(state, i < 2, collect_line, lines);
        watched.folder = NULL;
        for (guint k = 0; k < old->len; k++) {
            g_autofree char *one = pack_in(state, "backup/packs", g_array_index(old, gint64, k));
            gboolean is_read = g_hash_table_contains(watched.opened, one);
            assert_int_equal(is_read, i == 2 || (i == 1 && k == 0));
        }
        g_clear_pointer(&watched.opened, g_hash_table_unref);
        assert_int_equal(report.damaged, 0);
        assert_true(report.copied >= 1 && report.copied < old->len);
        assert_int_equal(lines->len, i == 0 ? 0 : 1);
    }
    assert_non_null(strstr(g_ptr_array_index(lines, 0), "brought again"));
    BackupReport report;
    assert_true(restore(state, FALSE, lines, &report, NULL));
    assert_others_whole(state);
}

/* How often packs of the backup are opened by a quick backup. */
static guint opened_by_quick(void **state)
{
    g_autofree char *folder = ingot_workdir_file(*state, "backup/packs");
    g_autoptr(GPtrArray) lines = lines_new();
    watched.folder = folder;
    watched.opened = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    BackupReport report = back_up_as(state, TRUE, collect_line, lines);
    watched.folder = NULL;
    assert_int_equal(report.damaged, 0);
    assert_int_equal(lines->len, 0);
    g_autoptr(GArray) packs = packs_in(state, "backup/packs");
    guint count = 0;
    for (guint i = 0; i < packs->len; i++) {
        g_autofree char *one = pack_in(state, "backup/packs", g_array_index(packs, gint64, i));
        count += g_hash_table_contains(watched.opened, one);
    }
    g_clear_pointer(&watched.opened, g_hash_table_unref);
    return count;
}

static void touch_packs(void **state, const GArray *packs)
{
    for (guint i = 0; i < packs->len; i++) {
        g_autofree char *one = pack_in(state, "backup/packs", g_array_index(packs, gint64, i));
        const struct timespec times[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
        assert_int_equal(utimensat(AT_FDCWD, one, times, 0), 0);
    }
}

/* A folder that was moved, or made by a version that noted no times, is read once. */
static void a_quick_one_reads_what_it_can_not_trust_once(void **state)
{
    fill(state);
    g_autoptr(GPtrArray) lines = lines_new();
    g_autofree char *list = ingot_workdir_file(*state, "backup/files.json");
    g_autoptr(GError) error = NULL;
    back_up(state, collect_line, lines);
    g_autoptr(GArray) packs = packs_in(state, "backup/packs");
    assert_int_equal(opened_by_quick(state), 0);
    touch_packs(state, packs);
    assert_int_equal(opened_by_quick(state), packs->len);
    assert_int_equal(opened_by_quick(state), 0);
    g_autoptr(json_t) root = json_load_file(list, 0, NULL);
    assert_int_equal(json_object_del(root, "times"), 0);
    assert_true(ingot_json_save(root, list, 1 << 20, 0600, &error));
    assert_int_equal(opened_by_quick(state), packs->len);
    assert_int_equal(opened_by_quick(state), 0);
}

/* --- users --- */

static void write_users(void **state, const char *name)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/users.sqlite");
    g_autofree char *sql = g_strdup_printf("CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, hash BLOB);"
                                           "INSERT INTO users VALUES ('%s', randomblob(20000))",
                                           name);
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

/* A bit of the users' that the disk lost in the backup is told by a restore; so is what a backup finds damaged, and it
 * takes the place of no whole ones. */
static void damaged_users_are_told(void **state)
{
    g_autofree char *copy = ingot_workdir_file(*state, "backup/users.sqlite"),
                    *own = ingot_workdir_file(*state, "data/users.sqlite"),
                    *there = ingot_workdir_file(*state, "restored/users.sqlite");
    g_autofree char *whole = NULL, *now = NULL;
    gsize size, now_size;
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    fill(state);
    for (guint i = 0; i < 2; i++) { /* the second time there are others */
        write_users(state, i == 0 ? "alice" : "bob");
        back_up(state, collect_line, lines);
        assert_true(restore(state, FALSE, lines, &report, &error));
        assert_int_equal(report.damaged, 0);
        flip_copy(copy, 20000); /* within a hash: no page is malformed */
        assert_refused(state);
        g_ptr_array_set_size(lines, 0);
        assert_true(restore(state, TRUE, lines, &report, &error));
        assert_int_equal(count_lines(lines, "backup/users.sqlite: damaged"), 1);
        assert_true(g_file_test(there, G_FILE_TEST_EXISTS));
    }
    g_ptr_array_set_size(lines, 0);
    back_up(state, collect_line, lines); /* they come again */
    assert_true(restore(state, FALSE, lines, &report, &error));
    assert_true(g_file_get_contents(copy, &whole, &size, NULL));
    for (guint64 at = 4096; at < 4096 + 64; at++) { /* the head of a page */
        flip(own, at);
    }
    assert_int_equal(back_up_anyhow(state, collect_line, lines).damaged, 1);
    assert_int_equal(count_lines(lines, "data/users.sqlite: damaged"), 1);
    assert_true(g_file_get_contents(copy, &now, &now_size, NULL));
    assert_int_equal(now_size, size);
    assert_memory_equal(now, whole, size);
    assert_true(restore(state, FALSE, lines, &report, &error));
}

/* Users that a backup held and that are lost from it: what would be restored is open to everybody. */
static void lost_users_are_told(void **state)
{
    g_autofree char *copy = ingot_workdir_file(*state, "backup/users.sqlite"),
                    *next = ingot_workdir_file(*state, "backup/users.sqlite.next"),
                    *list = ingot_workdir_file(*state, "backup/files.json"),
                    *there = ingot_workdir_file(*state, "restored/users.sqlite"), *text = NULL;
    g_autoptr(GPtrArray) lines = lines_new();
    g_autoptr(GError) error = NULL;
    BackupReport report;
    fill(state);
    back_up(state, collect_line, lines);
    assert_true(restore(state, FALSE, lines, &report, &error)); /* there were none */
    write_users(state, "alice");
    back_up(state, collect_line, lines);
    assert_int_equal(g_unlink(copy), 0);
    assert_refused(state);
    assert_true(restore(state, TRUE, lines, &report, &error));
    assert_int_equal(report.damaged, 1);
    assert_int_equal(count_lines(lines, "backup/users.sqlite: not there"), 1);
    assert_false(g_file_test(there, G_FILE_TEST_EXISTS));

    /* The first ones of a backup that was broken off: before they had their name, and after that. */
    assert_true(g_file_get_contents(list, &text, NULL, NULL));
    g_autoptr(GString) changed = g_string_new(text);
    assert_true(g_string_replace(changed, "users.sqlite", "users.sqlite.next", 0) > 0);
    assert_true(g_file_set_contents(list, changed->str, -1, NULL));
    assert_refused(state);
    assert_true(g_file_set_contents(next, "users", -1, NULL));
    assert_true(restore(state, FALSE, lines, &report, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_try_reads_nothing_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_try_counts_nothing_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_whole_can_be_had, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_told_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_backup_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_keeps_a_lock_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_sector_costs_its_piece_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_sector_costs_no_backup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kept_logs_are_those_of_the_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_lives_is_not_linked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uploads_are_not_restored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quick_one_reads_what_is_new_or_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quick_one_reads_what_it_can_not_trust_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_users_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_users_are_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
