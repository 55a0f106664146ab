#include "server/packs/packs.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct Pack {
    gint references; /* atomic, but for the step from none, which packs->lock guards */
    Packs *packs;
    gint64 number;
    char *path;
    int fd;
    GMutex lock; /* guards what follows */
    struct stat seen;
    guint32 generation;
};

struct Packs {
    char *folder;
    GMutex lock;
    GHashTable *open; /* &number -> Pack, without a reference */
};

Packs *packs_open(const char *folder, GError **error)
{
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    Packs *packs = g_new0(Packs, 1);
    packs->folder = g_strdup(folder);
    g_mutex_init(&packs->lock);
    packs->open = g_hash_table_new(g_int64_hash, g_int64_equal);
    return packs;
}

void packs_close(Packs *packs)
{
    if (packs != NULL) {
        g_hash_table_unref(packs->open);
        g_mutex_clear(&packs->lock);
        g_free(packs->folder);
        g_free(packs);
    }
}

char *packs_path(const Packs *packs, gint64 number)
{
    return g_strdup_printf("%s/%08" G_GINT64_FORMAT ".pack", packs->folder, number);
}

static int by_number(gconstpointer a, gconstpointer b)
{
    gint64 first = *(const gint64 *)a, second = *(const gint64 *)b;
    return (first > second) - (first < second);
}

GArray *packs_list(const Packs *packs)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(gint64));
    g_autoptr(GDir) dir = g_dir_open(packs->folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        guint64 number = 0;
        g_autofree char *digits = g_strndup(name, strspn(name, "0123456789"));
        if (strcmp(name + strlen(digits), ".pack") == 0 &&
            g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT64, &number, NULL)) {
            gint64 value = (gint64)number;
            g_array_append_val(list, value);
        }
    }
    g_array_sort(list, by_number);
    return list;
}

gint64 packs_highest(const Packs *packs)
{
    g_autoptr(GArray) list = packs_list(packs);
    return list->len == 0 ? 0 : g_array_index(list, gint64, list->len - 1);
}

static Pack *open_pack(Packs *packs, gint64 number, GError **error)
{
    g_autofree char *path = packs_path(packs, number);
    int fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return NULL;
    }
    Pack *pack = g_new0(Pack, 1);
    pack->packs = packs;
    pack->number = number;
    pack->path = g_steal_pointer(&path);
    pack->fd = fd;
    pack->generation = 1;
    g_mutex_init(&pack->lock);
    if (fstat(fd, &pack->seen) != 0) {
        pack->seen.st_size = -1; /* as if it had changed */
    }
    return pack;
}

Pack *packs_get(Packs *packs, gint64 number, GError **error)
{
    g_mutex_lock(&packs->lock);
    Pack *pack = g_hash_table_lookup(packs->open, &number);
    if (pack == NULL && (pack = open_pack(packs, number, error)) != NULL) {
        g_hash_table_insert(packs->open, &pack->number, pack);
    }
    if (pack != NULL) {
        g_atomic_int_inc(&pack->references);
    }
    g_mutex_unlock(&packs->lock);
    return pack;
}

Pack *pack_ref(Pack *pack)
{
    g_atomic_int_inc(&pack->references);
    return pack;
}

void pack_unref(Pack *pack)
{
    if (pack == NULL) {
        return;
    }
    Packs *packs = pack->packs;
    g_mutex_lock(&packs->lock);
    gboolean last = g_atomic_int_dec_and_test(&pack->references);
    if (last && g_hash_table_lookup(packs->open, &pack->number) == pack) {
        g_hash_table_remove(packs->open, &pack->number);
    }
    g_mutex_unlock(&packs->lock);
    if (last) {
        close(pack->fd);
        g_mutex_clear(&pack->lock);
        g_free(pack->path);
        g_free(pack);
    }
}

gboolean packs_remove(Packs *packs, gint64 number, GError **error)
{
    g_autofree char *path = packs_path(packs, number);
    g_mutex_lock(&packs->lock);
    gboolean ok = unlink(path) == 0 || ingot_error_set_errno(error, errno, "%s", path);
    g_hash_table_remove(packs->open, &number);
    g_mutex_unlock(&packs->lock);
    return ok;
}

int pack_fd(const Pack *pack)
{
    return pack->fd;
}

const char *pack_path(const Pack *pack)
{
    return pack->path;
}

gint64 pack_number(const Pack *pack)
{
    return pack->number;
}

static gboolean is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

guint32 pack_generation(Pack *pack)
{
    struct stat now;
    gboolean known = fstat(pack->fd, &now) == 0;
    g_mutex_lock(&pack->lock);
    if (!known || !is_same(&now, &pack->seen)) {
        pack->seen = now;
        pack->generation++;
    }
    guint32 generation = pack->generation;
    g_mutex_unlock(&pack->lock);
    return generation;
}
