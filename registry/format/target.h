/* Where a layout is written: a file that is new, or a block device, whose bytes are written over in place. */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

/* The place that a path leads to. Free it. */
typedef struct {
    char *path;         /* symbolic links followed: they stay, and what they lead to is written */
    gboolean device;    /* a block device */
    guint64 number;     /* of the device */
    gboolean replaces;  /* a file is there */
    struct stat before; /* of that file */
} FormatTarget;
void format_target_clear(FormatTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FormatTarget, format_target_clear)

/* FALSE and INVALID: a folder, a name that ends in a slash, what takes a stream, or a link that leads to itself;
 * DENIED: a link that another user has put into a folder for all. */
gboolean format_target_find(const char *path, FormatTarget *target, GError **error);
/* The same before there is anything to write: FALSE where a file could not be made there either. */
gboolean format_target_check(const char *path, GError **error);

/* Whether the path leads to what takes bytes one after the other: a pipe, a character device, or a descriptor of a
 * process, whatever that is open on (/dev/stdout, /dev/fd/N, /proc/PID/fd/N). */
gboolean format_target_is_stream(const char *path);
/* It, open to be written; of a descriptor of this process, another of the same. -1 and an error. */
int format_target_open_stream(const char *path, GError **error);

/* Lets nobody open the new file, which is empty yet, who might not open the one that it replaces: it gets that one's
 * mode and access list, and its owner and group where this process may give them away. Where it may not give the group,
 * the group may what everybody may. */
gboolean format_target_keep_access(const FormatTarget *target, int fd, GError **error);

/* FALSE: the device has fewer bytes than are needed (INVALID). */
gboolean format_target_fits(const char *path, guint64 size, guint64 needed, GError **error);
/* The device, open to be written: not one that is mounted, itself or a partition of it, or used otherwise by the kernel
 * (swap, RAID, LVM), and not one that is smaller than that. */
int format_target_open_device(const FormatTarget *target, guint64 needed, GError **error);

G_END_DECLS
