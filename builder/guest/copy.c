/* Files and trees through the one shell. Up: bytes of known length (`head -c N | tar`). Down: parts, each with its
 * length before it, since what is read in the guest may still grow. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <sys/stat.h>

#include "guest/session.h"

#define BLOCK (256u << 10) /* bytes read at once */
#define PART (4u << 20)    /* bytes of a download that the guest holds in memory */

static gboolean tar_failed(struct archive *archive, const char *path, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", path, archive_error_string(archive));
    return FALSE;
}

/* --- up --- */

static gboolean send_file(Guest *guest, int fd, guint64 size, const char *path, GError **error)
{
    g_autofree char *buffer = g_malloc(BLOCK);
    for (guint64 done = 0; done < size;) {
        gsize part = MIN(BLOCK, size - done);
        if (!ingot_file_pread(fd, buffer, part, done, path, error) || !session_send(guest, buffer, part, error)) {
            return FALSE;
        }
        done += part;
    }
    return TRUE;
}

static gboolean add_content(struct archive *tar, struct archive_entry *entry, GError **error)
{
    const char *path = archive_entry_sourcepath(entry);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    g_autofree char *buffer = g_malloc(BLOCK);
    guint64 size = (guint64)archive_entry_size(entry);
    for (guint64 done = 0; done < size;) {
        gsize part = MIN(BLOCK, size - done);
        if (!ingot_file_pread(fd, buffer, part, done, path, error)) {
            return FALSE;
        }
        if (archive_write_data(tar, buffer, part) < 0) {
            return tar_failed(tar, path, error);
        }
        done += part;
    }
    return TRUE;
}

/* Names in the tar start at the tree's top; ownership is the guest's affair. */
static gboolean add_entry(struct archive *disk, struct archive *tar, struct archive_entry *entry, const char *top,
                          GError **error)
{
    const char *path = archive_entry_sourcepath(entry);
    const char *rest = path + strlen(top);
    g_autofree char *name = g_strconcat(".", rest, NULL);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_uname(entry, "root");
    archive_entry_set_gname(entry, "root");
    archive_read_disk_descend(disk);
    if (archive_write_header(tar, entry) != ARCHIVE_OK) {
        return tar_failed(tar, path, error);
    }
    return archive_entry_filetype(entry) != AE_IFREG || archive_entry_size(entry) == 0 ||
           add_content(tar, entry, error);
}

static gboolean fill_tar(struct archive *disk, struct archive *tar, const char *top, GError **error)
{
    if (archive_read_disk_open(disk, top) != ARCHIVE_OK) {
        return tar_failed(disk, top, error);
    }
    struct archive_entry *entry = archive_entry_new();
    gboolean ok = TRUE;
    int status;
    while (ok && (status = archive_read_next_header2(disk, entry)) != ARCHIVE_EOF) {
        ok = status == ARCHIVE_OK ? add_entry(disk, tar, entry, top, error) : tar_failed(disk, top, error);
    }
    archive_entry_free(entry);
    return ok;
}

int guest_make_tar(const char *from, GError **error)
{
    g_auto(IngotFd) fd =
        ingot_file_open(g_getenv("TMPDIR") == NULL ? "/var/tmp" : g_getenv("TMPDIR"), O_TMPFILE | O_RDWR, 0600, error);
    if (fd < 0) {
        return -1;
    }
    g_autofree char *top = g_strdup(from);
    while (strlen(top) > 1 && g_str_has_suffix(top, "/")) {
        top[strlen(top) - 1] = '\0';
    }
    struct archive *disk = archive_read_disk_new(), *tar = archive_write_new();
    archive_read_disk_set_symlink_physical(disk);
    archive_write_set_format_gnutar(tar);
    gboolean ok = (archive_write_open_fd(tar, fd) == ARCHIVE_OK && fill_tar(disk, tar, top, error));
    if (ok && archive_write_close(tar) != ARCHIVE_OK) {
        ok = tar_failed(tar, from, error);
    }
    archive_write_free(tar);
    archive_read_free(disk);
    return ok ? g_steal_fd(&fd) : -1;
}

/* Gives the command size bytes, then looks at its word. */
static gboolean feed(Guest *guest, const char *command, int fd, guint64 size, const char *path, GError **error)
{
    /* What a command that fails early leaves unread is read away: the shell must not take it for commands. */
    g_autofree char *head = g_strdup_printf("head -c %" G_GUINT64_FORMAT " | { { %s; } >/run/ingot/copy.log 2>&1; "
                                            "echo $? >/run/ingot/copy.status; cat >/dev/null; }\n",
                                            size, command);
    return session_send(guest, head, strlen(head), error) && send_file(guest, fd, size, path, error) &&
           guest_script(guest, "cat /run/ingot/copy.log; exit $(cat /run/ingot/copy.status)", NULL, error);
}

static gboolean upload_file(Guest *guest, const char *from, const char *to, mode_t mode, const char *owner,
                            GError **error)
{
    struct stat st;
    g_auto(IngotFd) fd = ingot_file_open(from, O_RDONLY, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    if (fstat(fd, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", from);
    }
    g_autofree char *base = g_path_get_basename(from);
    g_autofree char *path = g_str_has_suffix(to, "/") ? g_strconcat(to, base, NULL) : g_strdup(to);
    g_autofree char *quoted = g_shell_quote(path);
    /* Beside its place, then renamed: whoever reads it sees the old file or the new one. */
    g_autofree char *command = g_strdup_printf(
        "p=%s; mkdir -p -- \"$(dirname -- \"$p\")\" && cat >\"$p.ingot-new\" && chmod %o \"$p.ingot-new\" "
        "&& chown %s \"$p.ingot-new\" && mv -T -- \"$p.ingot-new\" \"$p\"",
        quoted, (guint)mode, owner);
    return feed(guest, command, fd, (guint64)st.st_size, from, error);
}

static gboolean upload_tree(Guest *guest, const char *from, const char *to, int mode, const char *owner, GError **error)
{
    g_auto(IngotFd) fd = guest_make_tar(from, error);
    if (fd < 0) {
        return FALSE;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    g_autofree char *quoted = g_shell_quote(to);
    g_autofree char *change =
        mode < 0 ? g_strdup("") : g_strdup_printf(" && find %s -type f -exec chmod %o {} +", quoted, (guint)mode);
    g_autofree char *command = g_strdup_printf(
        "mkdir -p -- %s && tar -x -p --no-same-owner --no-overwrite-dir -f - -C %s && chown -R %s -- %s%s", quoted,
        quoted, owner, quoted, change);
    return feed(guest, command, fd, (guint64)size, from, error);
}

gboolean guest_upload(Guest *guest, const char *from, const char *to, int mode, const char *owner, GError **error)
{
    struct stat st;
    if (stat(from, &st) != 0) {
        return ingot_error_set_errno(error, errno, "%s", from);
    }
    g_autofree char *quoted = g_shell_quote(owner == NULL ? "root:root" : owner);
    if (S_ISDIR(st.st_mode)) {
        return upload_tree(guest, from, to, mode, quoted, error);
    }
    return upload_file(guest, from, to, mode < 0 ? st.st_mode & 07777 : (mode_t)mode, quoted, error);
}

/* --- down --- */

/* The next line of the shell's output, without its end. Free it. */
static char *receive_line(Guest *guest, GError **error)
{
    char *end;
    while ((end = memchr(guest->input->str, '\n', guest->input->len)) == NULL) {
        if (!session_receive(guest, 0, error)) {
            return NULL;
        }
    }
    char *line = g_strndup(guest->input->str, (gsize)(end - guest->input->str));
    g_string_erase(guest->input, 0, (gssize)strlen(line) + 1);
    return line;
}

static gboolean receive_part(Guest *guest, int fd, guint64 size, guint64 *at, const char *name, GError **error)
{
    while (size > 0) {
        if (guest->input->len == 0 && !session_receive(guest, 0, error)) {
            return FALSE;
        }
        gsize count = MIN(guest->input->len, size);
        if (!ingot_file_pwrite(fd, guest->input->str, count, *at, name, error)) {
            return FALSE;
        }
        g_string_erase(guest->input, 0, (gssize)count);
        *at += count;
        size -= count;
    }
    return TRUE;
}

/* All that the command prints, into the file. The shell sends parts until one is empty. */
static gboolean drain(Guest *guest, const char *command, int fd, const char *name, GError **error)
{
    g_autofree char *line = g_strdup_printf(
        "{ %s; echo $? >/run/ingot/copy.status; } 2>/run/ingot/copy.log | { while head -c %u >/run/ingot/part && "
        "[ -s /run/ingot/part ]; do stat -c %%s /run/ingot/part; cat /run/ingot/part; done; echo 0; }\n",
        command, PART);
    if (!session_send(guest, line, strlen(line), error)) {
        return FALSE;
    }
    guint64 size, at = 0;
    do {
        g_autofree char *length = receive_line(guest, error);
        if (length == NULL) {
            return FALSE;
        }
        if (!g_ascii_string_to_unsigned(length, 10, 0, PART, &size, NULL)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: something in the machine writes to its terminal",
                        name);
            return FALSE;
        }
        if (!receive_part(guest, fd, size, &at, name, error)) {
            return FALSE;
        }
    } while (size > 0);
    return guest_script(guest, "rm -f /run/ingot/part; cat /run/ingot/copy.log; exit $(cat /run/ingot/copy.status)",
                        NULL, error);
}

static gboolean unpack(int fd, const char *name, const char *to, GError **error)
{
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return ingot_error_set_errno(error, errno, "%s", name);
    }
    struct archive *tar = archive_read_new(), *disk = archive_write_disk_new();
    archive_read_support_format_tar(tar);
    archive_write_disk_set_options(disk, ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                             ARCHIVE_EXTRACT_SECURE_SYMLINKS);
    gboolean ok = archive_read_open_fd(tar, fd, BLOCK) == ARCHIVE_OK;
    struct archive_entry *entry;
    int status = ARCHIVE_OK;
    while (ok && (status = archive_read_next_header(tar, &entry)) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(entry);
        g_autofree char *target = strcmp(path, ".") == 0 ? g_strdup(to) : g_build_filename(to, path, NULL);
        archive_entry_set_pathname(entry, target);
        ok = archive_read_extract2(tar, entry, disk) == ARCHIVE_OK;
    }
    if (!ok || status != ARCHIVE_EOF) {
        ok = tar_failed(tar, name, error);
    }
    archive_write_free(disk);
    archive_read_free(tar);
    return ok;
}

/* A folder's content goes into `to`; a file becomes the file `to`, or lies in it where it ends in '/'. */
gboolean guest_download(Guest *guest, const char *from, const char *to, GError **error)
{
    g_autofree char *quoted = g_shell_quote(from);
    g_autofree char *ask = g_strdup_printf("if [ -d %s ]; then echo folder; elif [ -e %s ]; then echo file; else "
                                           "echo 'is not there' >&2; exit 1; fi",
                                           quoted, quoted);
    g_autofree char *kind = NULL;
    if (!guest_script(guest, ask, &kind, error)) {
        g_prefix_error(error, "%s: ", from);
        return FALSE;
    }
    gboolean folder = strcmp(kind, "folder") == 0;
    g_autofree char *base = g_path_get_basename(from);
    g_autofree char *path = !folder && g_str_has_suffix(to, "/") ? g_strconcat(to, base, NULL) : g_strdup(to);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *temporary = g_strdup_printf("%s.ingot-new", path);
    if (!ingot_file_make_folder(folder ? path : parent, error)) {
        return FALSE;
    }
    g_auto(IngotFd) fd = ingot_file_open(temporary, O_RDWR | O_CREAT | O_TRUNC, 0644, error);
    if (fd < 0) {
        return FALSE;
    }
    g_autofree char *command = g_strdup_printf(folder ? "tar -c -f - -C %s ." : "cat -- %s", quoted);
    gboolean ok = drain(guest, command, fd, temporary, error);
    ok = ok && (folder ? unpack(fd, from, path, error) : ingot_file_publish(fd, temporary, path, error));
    if (!ok || folder) {
        remove(temporary);
    }
    return ok;
}
