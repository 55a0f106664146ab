#include "store/frametables.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/blobs.h"

#define FOLDER "frames"
#define CHECKED "checked"
#define TABLES_MOST 32u       /* that are read: some 2 ms each */
#define TABLE_MAX (64u << 20) /* bytes: far more than a table of FRAMES_MOST */

typedef struct {
    char *path;
    IngotDigest blob;
    gint64 made; /* microseconds */
} Table;

static void table_free(gpointer data)
{
    g_free(((Table *)data)->path);
    g_free(data);
}

static char *table_path(const IngotStore *store, const IngotDigest *blob)
{
    return layout_note_path(store, FOLDER, blob);
}

char *frametables_checked(const IngotStore *store, const IngotDigest *blob)
{
    return layout_note_path(store, CHECKED, blob);
}

void frametables_drop(const IngotStore *store, const IngotDigest *blob)
{
    g_autofree char *path = table_path(store, blob), *checked = frametables_checked(store, blob);
    unlink(path);
    unlink(checked);
}

/* A table whose blob is there; one whose blob has gone is removed. */
static Table *table_of(IngotStore *store, const char *name)
{
    g_autofree char *text = g_strconcat("sha256:", name, NULL);
    IngotDigest blob;
    struct stat st;
    if (!ingot_digest_parse(text, &blob, NULL)) {
        return NULL;
    }
    g_autofree char *path = table_path(store, &blob);
    if (!ingot_store_has(store, &blob)) {
        frametables_drop(store, &blob);
        ingot_store_drop_frames(store, &blob);
        return NULL;
    }
    if (stat(path, &st) != 0) {
        return NULL;
    }
    Table *table = g_new0(Table, 1);
    table->path = g_steal_pointer(&path);
    table->blob = blob;
    table->made = st.st_mtim.tv_sec * G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
    return table;
}

static gint newest_first(gconstpointer a, gconstpointer b)
{
    gint64 x = (*(Table *const *)a)->made, y = (*(Table *const *)b)->made;
    return x > y ? -1 : x < y;
}

static GPtrArray *tables_list(IngotStore *store)
{
    g_autofree char *path = layout_path(store, FOLDER);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    GPtrArray *tables = g_ptr_array_new_with_free_func(table_free);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        Table *table = table_of(store, name);
        if (table != NULL) {
            g_ptr_array_add(tables, table);
        }
    }
    g_ptr_array_sort(tables, newest_first);
    return tables;
}

GBytes *frametables_read(const char *path)
{
    return ingot_file_read_regular(path, TABLE_MAX, NULL);
}

IngotFrames *frametables_open(IngotStore *store)
{
    g_autoptr(GPtrArray) tables = tables_list(store);
    IngotFrames *frames = frames_new();
    for (guint i = 0; i < MIN(tables->len, TABLES_MOST); i++) {
        const Table *table = g_ptr_array_index(tables, i);
        g_autoptr(GBytes) bytes = frametables_read(table->path);
        g_autofree char *blob = ingot_store_blob_path(store, &table->blob);
        int fd = bytes == NULL ? -1 : ingot_file_open(blob, O_RDONLY, 0, NULL);
        if (fd >= 0) {
            frames_add(frames, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), fd);
        }
    }
    return frames;
}

/* Not synced: a table that is not whole is not used. */
void frametables_write(const char *path, GBytes *table)
{
    g_autofree char *folder = g_path_get_dirname(path);
    if (ingot_file_make_folder(folder, NULL)) {
        g_file_set_contents_full(path, g_bytes_get_data(table, NULL), (gssize)g_bytes_get_size(table),
                                 G_FILE_SET_CONTENTS_NONE, 0644, NULL);
    }
}

void frametables_keep(const IngotStore *store, const IngotDigest *blob, GBytes *table)
{
    g_autofree char *path = table_path(store, blob);
    frametables_write(path, table);
}
