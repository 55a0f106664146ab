/* A parcel that is a folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "bundle/parcelkinds.h"
#include "bundle/refuse.h"

#define DEPTH_MAX 8u /* folders in folders */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DIR, closedir)

/* The file of that name within the folder, of which no part is a link; -1 with errno. */
static int open_within(const Parcel *parcel, const char *name, int flags)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    g_auto(IngotFd) fd = open(parcel->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (guint i = 0; fd >= 0 && parts[i] != NULL; i++) {
        int next =
            openat(fd, parts[i], (parts[i + 1] == NULL ? flags : O_DIRECTORY) | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        int problem = errno;
        close(fd);
        fd = next;
        errno = problem;
    }
    return g_steal_fd(&fd);
}

static gssize read_file(gpointer source, void *buffer, gsize size, GError **error)
{
    const int *fd = source;
    gssize got;
    do {
        got = read(*fd, buffer, size);
    } while (got < 0 && errno == EINTR && ingot_interrupt_check(error));
    if (got < 0 && (error == NULL || *error == NULL)) {
        ingot_error_set_errno(error, errno, "reading a file of the folder");
    }
    return got;
}

static gboolean describe(Parcel *parcel, ParcelMember *member, const struct stat *info, GError **error)
{
    member->file = S_ISREG(info->st_mode);
    member->size = member->file ? (guint64)info->st_size : 0;
    g_auto(IngotFd) fd = member->file ? open_within(parcel, member->name, O_NONBLOCK) : -1;
    if (member->file && fd < 0) {
        return ingot_error_set_errno(error, errno, "%s: %s", parcel->name, member->name);
    }
    return !member->file || members_read_text(parcel, member, read_file, &fd, error);
}

static int compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a folder, in order, so that every host sees the same; no more than may be. */
static GPtrArray *read_names(const Parcel *parcel, const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(parcel->path, folder, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    int fd =
        *folder == '\0' ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : open_within(parcel, folder, O_DIRECTORY);
    g_autoptr(DIR) stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            g_ptr_array_add(names, g_strdup(entry->d_name));
        }
        if (names->len > PARCEL_MEMBERS_MAX) {
            bundle_refuse(parcel->name, error, "it has more than %u members", PARCEL_MEMBERS_MAX);
            return NULL;
        }
    }
    g_ptr_array_sort(names, compare);
    return g_steal_pointer(&names);
}

static gboolean look(Parcel *parcel, const char *folder, guint depth, GError **error)
{
    g_autoptr(GPtrArray) names = read_names(parcel, folder, error);
    if (names == NULL) {
        return FALSE;
    }
    if (depth > DEPTH_MAX) {
        return bundle_refuse(parcel->name, error, "its folders lie more than %u deep", DEPTH_MAX);
    }
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *within = g_strconcat(folder, *folder == '\0' ? "" : "/", g_ptr_array_index(names, i), NULL);
        g_autofree char *name = members_read_name(parcel, within, error);
        g_autofree char *path = g_build_filename(parcel->path, within, NULL);
        struct stat info;
        if (name == NULL || !ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (lstat(path, &info) != 0) {
            return ingot_error_set_errno(error, errno, "%s", path);
        }
        if (S_ISDIR(info.st_mode)) {
            if (!look(parcel, name, depth + 1, error)) {
                return FALSE;
            }
            continue;
        }
        ParcelMember *member = members_add(parcel, g_steal_pointer(&name), error);
        if (member == NULL || !describe(parcel, member, &info, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

Parcel *parcel_open_folder(const char *path, const char *name, GError **error)
{
    g_autoptr(Parcel) parcel = members_new(path, name, TRUE);
    parcel->listed = TRUE;
    return look(parcel, "", 0, error) ? g_steal_pointer(&parcel) : NULL;
}

Parcel *parcel_open_beside(const char *path, const char *name, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(Parcel) parcel = members_new(folder, name, TRUE);
    ParcelMember *member = members_add(parcel, g_path_get_basename(path), error);
    struct stat info;
    g_auto(IngotFd) fd = member == NULL ? -1 : ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &info) != 0) {
        ingot_error_set_errno(error, errno, "%s", name);
        return NULL;
    }
    member->file = TRUE;
    member->size = (guint64)info.st_size;
    return members_read_descriptor(parcel, member, read_file, &fd, error) ? g_steal_pointer(&parcel) : NULL;
}

const ParcelMember *folder_find(const Parcel *parcel, const char *name)
{
    struct stat info;
    g_autofree char *plain = members_lead_outside(name) ? NULL : members_read_name(parcel, name, NULL);
    g_auto(IngotFd) fd = plain == NULL ? -1 : open_within(parcel, plain, O_PATH);
    if (fd < 0 || fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        return NULL;
    }
    /* What is found counts as seen from then on. */
    Parcel *own = (Parcel *)parcel;
    ParcelMember *member = members_add(own, g_steal_pointer(&plain), NULL);
    return member != NULL && describe(own, member, &info, NULL) ? member : NULL;
}

gboolean folder_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                     GError **error)
{
    for (guint i = 0; i < parcel->members->len; i++) {
        const ParcelMember *member = g_ptr_array_index(parcel->members, i);
        if (!members_wanted(member, takes, count)) {
            continue;
        }
        g_auto(IngotFd) fd = open_within(parcel, member->name, O_NONBLOCK);
        if (fd < 0) {
            return ingot_error_set_errno(error, errno, "%s: %s", parcel->name, member->name);
        }
        if (!members_take(parcel, member, read_file, &fd, takes, count, progress, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
