#include "server/packs/packs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

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

/* The number of a pack's file name; FALSE: it is something else. */
static gboolean name_number(const char *name, gint64 *number)
{
    guint64 value = 0;
    g_autofree char *digits = g_strndup(name, strspn(name, "0123456789"));
    gboolean ok = strcmp(name + strlen(digits), ".pack") == 0 &&
                  g_ascii_string_to_unsigned(digits, 10, 1, G_MAXINT64, &value, NULL);
    *number = (gint64)value;
    return ok;
}

GArray *packs_list(const Packs *packs, GError **error)
{
    DIR *folder = opendir(packs->folder);
    if (folder == NULL) {
        ingot_error_set_errno(error, errno, "%s", packs->folder);
        return NULL;
    }
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(gint64));
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(folder)) != NULL) {
        gint64 number;
        if (name_number(entry->d_name, &number)) {
            g_array_append_val(list, number);
        }
        errno = 0;
    }
    gboolean ok = errno == 0 || ingot_error_set_errno(error, errno, "%s", packs->folder);
    closedir(folder);
    g_array_sort(list, by_number);
    return ok ? g_steal_pointer(&list) : NULL;
}

gboolean packs_can_take(const Packs *packs, const char *folder, GError **error)
{
    g_autofree char *id = g_uuid_string_random(), *name = g_strconcat(".probe-", id, NULL);
    g_autofree char *from = g_build_filename(folder, name, NULL), *to = g_build_filename(packs->folder, name, NULL);
    g_auto(IngotFd) fd = ingot_file_open(from, O_WRONLY | O_CREAT | O_EXCL, 0600, NULL);
    gboolean apart = fd >= 0 && link(from, to) != 0 && errno == EXDEV;
    unlink(to);
    unlink(from);
    if (apart) {
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_FAILED,
            "%s and %s are two file systems, or mounted apart: put both on one, since packs are linked from one to"
            " the other",
            packs->folder, folder);
    }
    return !apart;
}

/* --- putting --- */

/* Random, so that processes that share a folder need not agree, and a number that was removed does not come back. */
static gint64 new_number(void)
{
    guint64 value = ((guint64)g_random_int() << 32 | g_random_int()) & G_MAXINT64;
    return MAX((gint64)value, 1);
}

static gboolean flush_file(const char *path, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && (fdatasync(fd) == 0 || ingot_error_set_errno(error, errno, "%s", path));
}

static gboolean flush_folder(const Packs *packs, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(packs->folder, O_RDONLY | O_DIRECTORY, 0, error);
    return fd >= 0 && (fsync(fd) == 0 || ingot_error_set_errno(error, errno, "%s", packs->folder));
}

/* Under a number that no pack has. */
static gboolean link_file(const Packs *packs, const char *path, gint64 *number, GError **error)
{
    for (;;) {
        *number = new_number();
        g_autofree char *target = packs_path(packs, *number);
        if (link(path, target) == 0) {
            return TRUE;
        }
        if (errno != EEXIST) {
            return ingot_error_set_errno(error, errno, "%s", target);
        }
    }
}

gboolean packs_put(Packs *packs, const char *path, gint64 *number, GError **error)
{
    if (!flush_file(path, error) || !link_file(packs, path, number, error)) {
        return FALSE;
    }
    if (!flush_folder(packs, error)) {
        packs_remove(packs, *number, NULL);
        return FALSE;
    }
    return TRUE;
}

/* --- reading --- */

static Pack *open_pack(Packs *packs, gint64 number, GError **error)
{
    g_autofree char *path = packs_path(packs, number);
    GError *problem = NULL;
    int fd = ingot_file_open(path, O_RDONLY, 0, &problem);
    if (fd < 0) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            problem->code = INGOT_ERROR_CORRUPT;
        }
        g_propagate_error(error, problem);
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

/* The files are looked at without the lock, for which event loops wait. */
gboolean packs_has_removed(Packs *packs)
{
    g_autoptr(GPtrArray) open = g_ptr_array_new_with_free_func((GDestroyNotify)pack_unref);
    GHashTableIter iterator;
    gpointer pack;
    gboolean found = FALSE;
    g_mutex_lock(&packs->lock);
    g_hash_table_iter_init(&iterator, packs->open);
    while (g_hash_table_iter_next(&iterator, NULL, &pack)) {
        g_ptr_array_add(open, pack_ref(pack));
    }
    g_mutex_unlock(&packs->lock);
    for (guint i = 0; i < open->len && !found; i++) {
        struct stat st;
        found = fstat(((Pack *)g_ptr_array_index(open, i))->fd, &st) == 0 && st.st_nlink == 0;
    }
    return found;
}

gboolean pack_read(const Pack *pack, guint64 offset, void *buffer, gsize size, GError **error)
{
    return ingot_file_pread(pack->fd, buffer, size, offset, pack->path, error);
}

gboolean pack_size(const Pack *pack, guint64 *size, GError **error)
{
    struct stat st;
    if (fstat(pack->fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", pack->path);
    }
    *size = (guint64)st.st_size;
    return TRUE;
}

gboolean packs_set_aside(Packs *packs, gint64 number, GError **error)
{
    g_autofree char *folder = g_build_filename(packs->folder, "lost", NULL);
    g_autofree char *from = packs_path(packs, number), *name = g_path_get_basename(from);
    g_autofree char *to = g_build_filename(folder, name, NULL);
    return ingot_file_make_folder(folder, error) &&
           (rename(from, to) == 0 || ingot_error_set_errno(error, errno, "%s", from));
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
    if (fstat(pack->fd, &now) != 0) {
        now = (struct stat){.st_size = -1}; /* as if it had changed */
    }
    g_mutex_lock(&pack->lock);
    if (now.st_size < 0 || !is_same(&now, &pack->seen)) {
        pack->seen = now;
        pack->generation++;
    }
    guint32 generation = pack->generation;
    g_mutex_unlock(&pack->lock);
    return generation;
}

gboolean pack_is_there(const Pack *pack)
{
    struct stat open, named;
    return fstat(pack->fd, &open) == 0 && stat(pack->path, &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

guint64 pack_stamp(const Pack *pack)
{
    struct stat now;
    if (fstat(pack->fd, &now) != 0) {
        return 0;
    }
    const gint64 parts[] = {now.st_size, now.st_mtim.tv_sec, now.st_mtim.tv_nsec, now.st_ctim.tv_sec,
                            now.st_ctim.tv_nsec};
    guint64 stamp = G_GUINT64_CONSTANT(0xcbf29ce484222325); /* FNV-1a */
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        stamp = (stamp ^ (guint64)parts[i]) * G_GUINT64_CONSTANT(0x100000001b3);
    }
    return MAX(stamp, 1);
}
