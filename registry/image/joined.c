/* Disks that are joined: which of them an offset belongs to, and what is asked of all of them one after another. */
#include <string.h>

#include "image/disk.h"

static guint64 size_of(const IngotDisk *disk)
{
    return disk->index->disk_size;
}

IngotDisk *ingot_disk_join(GPtrArray *disks)
{
    g_autoptr(GPtrArray) list = disks;
    if (list->len == 1) {
        IngotDisk *only = g_ptr_array_index(list, 0);
        g_ptr_array_set_free_func(list, NULL);
        return only;
    }
    IngotDisk *joined = g_new0(IngotDisk, 1);
    joined->name = g_strdup(((IngotDisk *)g_ptr_array_index(list, 0))->name);
    joined->bases = g_new0(guint64, list->len);
    for (guint i = 1; i < list->len; i++) {
        guint64 end = joined->bases[i - 1] + size_of(g_ptr_array_index(list, i - 1));
        joined->bases[i] = (end / INGOT_DISK_BASE + 1) * INGOT_DISK_BASE;
    }
    joined->members = g_steal_pointer(&list);
    g_ptr_array_set_free_func(joined->members, (GDestroyNotify)ingot_disk_free);
    return joined;
}

void joined_free(IngotDisk *disk)
{
    g_clear_pointer(&disk->members, g_ptr_array_unref);
    g_free(disk->bases);
}

guint ingot_disk_count(const IngotDisk *disk)
{
    return disk->members == NULL ? 1 : disk->members->len;
}

IngotDisk *ingot_disk_member(IngotDisk *disk, guint i)
{
    g_return_val_if_fail(i < ingot_disk_count(disk), NULL);
    return disk->members == NULL ? disk : g_ptr_array_index(disk->members, i);
}

guint64 ingot_disk_base(const IngotDisk *disk, guint i)
{
    g_return_val_if_fail(i < ingot_disk_count(disk), 0);
    return disk->members == NULL ? 0 : disk->bases[i];
}

guint ingot_disk_at(const IngotDisk *disk, guint64 offset)
{
    guint last = ingot_disk_count(disk) - 1;
    while (last > 0 && disk->bases[last] > offset) {
        last--;
    }
    return last;
}

guint64 ingot_disk_size(const IngotDisk *disk)
{
    guint64 size = disk->members == NULL ? size_of(disk) : 0;
    for (guint i = 0; disk->members != NULL && i < disk->members->len; i++) {
        size += size_of(g_ptr_array_index(disk->members, i));
    }
    return size;
}

/* Behind a member come zeros, up to the next one's base. */
static gboolean read_member(IngotDisk *disk, guint i, guint64 offset, guint8 *buffer, gsize size, GError **error)
{
    IngotDisk *member = ingot_disk_member(disk, i);
    guint64 end = size_of(member);
    gsize count = offset >= end ? 0 : (gsize)MIN((guint64)size, end - offset);
    memset(buffer + count, 0, size - count);
    return count == 0 || ingot_disk_read(member, offset, buffer, count, error);
}

gboolean joined_read(IngotDisk *disk, guint64 offset, void *buffer, gsize size, GError **error)
{
    guint8 *at = buffer;
    for (guint i = ingot_disk_at(disk, offset); size > 0; i++) {
        guint64 room = i + 1 < disk->members->len ? disk->bases[i + 1] - offset : G_MAXUINT64;
        gsize count = (gsize)MIN((guint64)size, room);
        if (!read_member(disk, i, offset - disk->bases[i], at, count, error)) {
            return FALSE;
        }
        at += count;
        offset += count;
        size -= count;
    }
    return TRUE;
}

typedef struct {
    IngotDiskTake take;
    gpointer user;
    guint64 base;
} MemberTake;

static gboolean take_of_member(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    const MemberTake *of = user;
    return of->take(of->base + offset, data, size, of->user, error);
}

gboolean joined_each(IngotDisk *disk, IngotDiskTake take, gpointer user, IngotProgress *progress, GError **error)
{
    for (guint i = 0; i < disk->members->len; i++) {
        MemberTake of = {.take = take, .user = user, .base = disk->bases[i]};
        if (!ingot_disk_each(ingot_disk_member(disk, i), take == NULL ? NULL : take_of_member, &of, progress, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
