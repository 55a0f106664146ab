#include "server/storage/backuplist.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

#define FILE_NAME "files.json"
#define LIST_MAX (256u << 20)
#define STEP (1u << 20) /* bytes that are read at once */

#define TIMES "times" /* where the list has them, beside the names of files */

struct BackupList {
    GHashTable *files; /* name -> "SIZE SHA-256" */
    GHashTable *times; /* name -> when the file was written, nanoseconds as text */
};

BackupList *backup_list_new(void)
{
    BackupList *list = g_new0(BackupList, 1);
    list->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    list->times = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return list;
}

void backup_list_free(BackupList *list)
{
    if (list != NULL) {
        g_hash_table_unref(list->files);
        g_hash_table_unref(list->times);
        g_free(list);
    }
}

static void strings_take(json_t *object, GHashTable *table)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (json_is_string(value)) {
            g_hash_table_insert(table, g_strdup(name), g_strdup(json_string_value(value)));
        }
    }
}

static json_t *strings_give(GHashTable *table)
{
    json_t *object = json_object();
    GHashTableIter iterator;
    gpointer name, value;
    g_hash_table_iter_init(&iterator, table);
    while (g_hash_table_iter_next(&iterator, &name, &value)) {
        ingot_json_set_string(object, name, value);
    }
    return object;
}

BackupList *backup_list_load(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, FILE_NAME, NULL);
    g_autoptr(BackupList) list = backup_list_new();
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return g_steal_pointer(&list);
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, LIST_MAX, error);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    if (root == NULL) {
        return NULL;
    }
    strings_take(root, list->files);
    strings_take(json_object_get(root, TIMES), list->times);
    return g_steal_pointer(&list);
}

gboolean backup_list_save(const BackupList *list, const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, FILE_NAME, NULL);
    g_autoptr(json_t) root = strings_give(list->files);
    json_object_set_new(root, TIMES, strings_give(list->times));
    return ingot_json_save(root, path, LIST_MAX, 0600, error);
}

/* "SIZE SHA-256" of the file as it is; free it. */
static char *file_entry(const char *folder, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    g_autofree guint8 *buffer = g_malloc(STEP);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint64 size = 0;
    gssize count = 0;
    while (fd >= 0 && (count = read(fd, buffer, STEP)) > 0) {
        g_checksum_update(sum, buffer, count);
        size += (guint64)count;
    }
    if (fd >= 0 && count < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: can't be read: %s", path, g_strerror(errno));
    }
    return fd < 0 || count < 0 ? NULL : g_strdup_printf("%" G_GUINT64_FORMAT " %s", size, g_checksum_get_string(sum));
}

/* When the file was written last; NULL: it can't be told. Free it. */
static char *file_time(const char *folder, const char *name, guint64 *size)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct stat st;
    if (stat(path, &st) != 0) {
        return NULL;
    }
    *size = (guint64)st.st_size;
    return g_strdup_printf("%" G_GINT64_FORMAT, st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec);
}

gboolean backup_list_note(BackupList *list, const char *folder, const char *name, GError **error)
{
    guint64 size;
    g_autofree char *time = file_time(folder, name, &size); /* before it is read: what is written later is another */
    char *entry = file_entry(folder, name, error);
    if (entry != NULL) {
        g_hash_table_insert(list->files, g_strdup(name), entry);
        g_hash_table_insert(list->times, g_strdup(name), g_steal_pointer(&time));
    }
    return entry != NULL;
}

gboolean backup_list_is_same(const BackupList *list, const char *folder, const char *name)
{
    const char *entry = g_hash_table_lookup(list->files, name), *before = g_hash_table_lookup(list->times, name);
    guint64 size;
    g_autofree char *time = file_time(folder, name, &size);
    return entry != NULL && before != NULL && time != NULL && strcmp(time, before) == 0 &&
           g_ascii_strtoull(entry, NULL, 10) == size;
}

gboolean backup_list_has(const BackupList *list, const char *name)
{
    return g_hash_table_contains(list->files, name);
}

gboolean backup_list_check_as(const BackupList *list, const char *folder, const char *file, const char *name,
                              GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *entry = file_entry(folder, file, &problem);
    if (entry != NULL && g_strcmp0(entry, g_hash_table_lookup(list->files, name)) == 0) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s/%s: damaged: %s", folder, file,
                problem != NULL ? problem->message : "its bytes are not those that the backup brought");
    return FALSE;
}

gboolean backup_list_check(const BackupList *list, const char *folder, const char *name, GError **error)
{
    return backup_list_check_as(list, folder, name, name, error);
}

static void entry_take(GHashTable *table, GHashTable *from, const char *old, const char *name)
{
    const char *value = g_hash_table_lookup(from, old);
    if (value != NULL) {
        g_hash_table_insert(table, g_strdup(name), g_strdup(value));
    }
}

void backup_list_take(BackupList *list, const BackupList *from, const char *name)
{
    entry_take(list->files, from->files, name, name);
    entry_take(list->times, from->times, name, name);
}

gboolean backup_list_take_read(BackupList *list, const BackupList *from, const char *folder, const char *name,
                               GError **error)
{
    guint64 size;
    char *time = file_time(folder, name, &size); /* before it is read: what is written later is another */
    if (!backup_list_check(from, folder, name, error)) {
        g_free(time);
        return FALSE;
    }
    entry_take(list->files, from->files, name, name);
    g_hash_table_insert(list->times, g_strdup(name), time);
    return TRUE;
}

void backup_list_rename(BackupList *list, const char *from, const char *to)
{
    GHashTable *tables[] = {list->files, list->times};
    for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
        entry_take(tables[i], tables[i], from, to);
        g_hash_table_remove(tables[i], from);
    }
}

GList *backup_list_names(const BackupList *list)
{
    return g_list_sort(g_hash_table_get_keys(list->files), (GCompareFunc)strcmp);
}
