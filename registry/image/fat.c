#include "image/fat.h"

#include <string.h>

#include "image/reader.h"

#define SECTOR 512u
#define DEPTH_MAX 3u
#define FOLDER_MAX (256u << 10) /* bytes that are read of one folder */
#define FOLDERS_MAX 64u         /* folders that are read in all */
#define ENTRY 32u               /* bytes of a folder's entry */
#define IS_LABEL 0x08           /* attributes of an entry; parts of a long name have this one too */
#define IS_FOLDER 0x10

typedef struct {
    SmallReads *disk;
    guint64 start, size;        /* bytes, of the file system */
    guint64 fat, root, data;    /* bytes from its start: the table, the root folder (FAT12, FAT16), the first cluster */
    guint64 root_size, cluster; /* bytes */
    guint32 clusters, root_cluster;
    guint bits;    /* 12, 16, 32 */
    guint folders; /* that were read */
    FatFound found;
    gpointer user;
} Fat;

/* Bytes of the file system; what lies outside reads as zeros. */
static gboolean read_bytes(const Fat *fat, guint64 offset, void *buffer, gsize size, GError **error)
{
    memset(buffer, 0, size);
    return offset >= fat->size || size > fat->size - offset ||
           small_read(fat->disk, fat->start + offset, buffer, size, error);
}

/* Where everything lies; *is FALSE: it is no FAT. */
static gboolean read_head(Fat *fat, gboolean *is, GError **error)
{
    guint8 head[SECTOR];
    *is = FALSE;
    if (!read_bytes(fat, 0, head, sizeof head, error)) {
        return FALSE;
    }
    guint64 sector = le16(head + 11), reserved = le16(head + 14), tables = head[16];
    guint64 total = le16(head + 19) != 0 ? le16(head + 19) : le32(head + 32);
    guint64 table = le16(head + 22) != 0 ? le16(head + 22) : le32(head + 36);
    gboolean plain = sector >= SECTOR && sector <= 4096 && (sector & (sector - 1)) == 0 && head[13] != 0;
    if (!plain || reserved == 0 || tables == 0 || table == 0 || le16(head + 510) != 0xaa55) {
        return TRUE;
    }
    fat->cluster = sector * head[13];
    fat->fat = reserved * sector;
    fat->root = fat->fat + tables * table * sector;
    fat->root_size = le16(head + 17) * (guint64)ENTRY;
    fat->data = fat->root + (fat->root_size + sector - 1) / sector * sector;
    if (total * sector <= fat->data) {
        return TRUE;
    }
    fat->clusters = (guint32)MIN((total * sector - fat->data) / fat->cluster, 0x0ffffff0u);
    fat->bits = fat->clusters < 4085 ? 12 : fat->clusters < 65525 ? 16 : 32;
    fat->root_cluster = fat->bits == 32 ? le32(head + 44) : 0;
    *is = TRUE;
    return TRUE;
}

/* The cluster that follows one; 0: none. */
static gboolean next_cluster(const Fat *fat, guint32 *cluster, GError **error)
{
    guint8 entry[4];
    guint64 at = fat->fat + (guint64)*cluster * fat->bits / 8;
    if (!read_bytes(fat, at, entry, sizeof entry, error)) {
        return FALSE;
    }
    guint32 value = fat->bits == 32 ? le32(entry) & 0x0fffffff : le16(entry);
    if (fat->bits == 12) {
        value = *cluster % 2 == 1 ? value >> 4 : value & 0xfff;
    }
    *cluster = value >= 2 && value < fat->clusters + 2 ? value : 0;
    return TRUE;
}

/* "BOOTX64.EFI" of an entry; free it. */
static char *entry_name(const guint8 *entry)
{
    g_autofree char *base = g_strchomp(g_strndup((const char *)entry, 8));
    g_autofree char *suffix = g_strchomp(g_strndup((const char *)entry + 8, 3));
    char *name = g_strconcat(base, *suffix == '\0' ? "" : ".", suffix, NULL);
    for (char *at = name; *at != '\0'; at++) {
        *at = g_ascii_isprint(*at) && *at != '/' ? g_ascii_toupper(*at) : '?';
    }
    return name;
}

static gboolean read_folder(Fat *fat, guint32 cluster, const char *path, guint depth, GError **error);

/* FALSE with *ended: the folder has no more entries. */
static gboolean read_entry(Fat *fat, const guint8 *entry, const char *path, guint depth, gboolean *ended,
                           GError **error)
{
    *ended = entry[0] == 0;
    if (*ended || entry[0] == 0xe5 || entry[0] == '.' || (entry[11] & IS_LABEL) != 0) {
        return TRUE;
    }
    g_autofree char *name = entry_name(entry), *whole = g_strconcat(path, "/", name, NULL);
    guint32 cluster = le16(entry + 26) | (fat->bits == 32 ? (guint32)le16(entry + 20) << 16 : 0);
    if ((entry[11] & IS_FOLDER) == 0) {
        if (depth > 0) {
            fat->found(whole, fat->user);
        }
        return TRUE;
    }
    gboolean wanted = depth == 0 ? strcmp(name, "EFI") == 0 : depth < DEPTH_MAX;
    return !wanted || cluster < 2 || cluster >= fat->clusters + 2 || read_folder(fat, cluster, whole, depth + 1, error);
}

static gboolean read_entries(Fat *fat, guint64 offset, guint64 size, const char *path, guint depth, gboolean *ended,
                             GError **error)
{
    guint8 entry[ENTRY];
    for (guint64 at = 0; at + ENTRY <= size && !*ended; at += ENTRY) {
        if (!read_bytes(fat, offset + at, entry, ENTRY, error) || !read_entry(fat, entry, path, depth, ended, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* cluster 0: the root of FAT12 and FAT16, which lies apart. */
static gboolean read_folder(Fat *fat, guint32 cluster, const char *path, guint depth, GError **error)
{
    gboolean ended = FALSE;
    if (fat->folders++ >= FOLDERS_MAX) {
        return TRUE;
    }
    if (cluster == 0) {
        return read_entries(fat, fat->root, MIN(fat->root_size, FOLDER_MAX), path, depth, &ended, error);
    }
    for (guint64 done = 0; cluster != 0 && !ended && done < FOLDER_MAX; done += fat->cluster) {
        guint64 at = fat->data + (guint64)(cluster - 2) * fat->cluster;
        if (!read_entries(fat, at, fat->cluster, path, depth, &ended, error) || !next_cluster(fat, &cluster, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean fat_list_efi(SmallReads *disk, guint64 offset, guint64 size, FatFound found, gpointer user, GError **error)
{
    Fat fat = {.disk = disk, .start = offset, .size = size, .found = found, .user = user};
    gboolean is;
    if (!read_head(&fat, &is, error)) {
        return FALSE;
    }
    if (!is || (fat.bits == 32 && (fat.root_cluster < 2 || fat.root_cluster >= fat.clusters + 2))) {
        return TRUE;
    }
    return read_folder(&fat, fat.root_cluster, "", 0, error);
}
