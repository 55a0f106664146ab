#include "cli/follow/place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ingot/error.h>
#include <ingot/format.h>

#include "base/command.h"
#include "base/file.h"
#include "base/process.h"
#include "cli/deployed.h"
#include "format/all.h"

#define DISK_PREFIX "disk-"
#define DISK_SUFFIX ".raw"
#define ID_MAX 64u     /* bytes */
#define LOOK_EVERY 100 /* milliseconds: whether a command of before has ended */

struct Place {
    char *folder, *id, *marker, *note, *turn;
    IngotLock *lock;
    gboolean noted; /* something was, when a command began last … */
    GBytes *before; /* … which was this; NULL: nothing, or it can't be read */
};

/* NULL: it can't be kept. Free it. */
static char *place_find_id(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "id", NULL), *own = g_uuid_string_random();
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, ID_MAX, NULL);
    gsize size = 0;
    const char *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    g_autofree char *kept = g_strndup(data == NULL ? "" : data, size);
    if (g_uuid_string_is_valid(kept)) {
        return g_steal_pointer(&kept);
    }
    return ingot_file_replace(path, own, strlen(own), 0644, error) ? g_steal_pointer(&own) : NULL;
}

Place *place_open(const char *folder, GError **error)
{
    g_autoptr(Place) place = g_new0(Place, 1);
    place->folder = g_canonicalize_filename(folder, NULL);
    place->marker = deployed_marker(place->folder);
    place->note = g_build_filename(place->folder, "begun", NULL);
    place->turn = g_build_filename(place->folder, "running", NULL);
    g_autofree char *lock = g_build_filename(place->folder, "lock", NULL);
    GError *problem = NULL;
    if (!ingot_file_make_folder(place->folder, error)) {
        return NULL;
    }
    place->lock = ingot_lock_take(lock, TRUE, FALSE, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "%s: another follower has this folder; --folder names one",
                    place->folder);
        g_clear_error(&problem);
    } else if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    place->id = place->lock == NULL ? NULL : place_find_id(place->folder, error);
    return place->id == NULL ? NULL : g_steal_pointer(&place);
}

void place_free(Place *place)
{
    g_clear_pointer(&place->lock, ingot_lock_release);
    g_clear_pointer(&place->before, g_bytes_unref);
    g_free(place->folder);
    g_free(place->id);
    g_free(place->marker);
    g_free(place->note);
    g_free(place->turn);
    g_free(place);
}

const char *place_id(const Place *place)
{
    return place->id;
}

const char *place_marker(const Place *place)
{
    return place->marker;
}

gboolean place_done(const Place *place, IngotDigest *digest, gint64 *since)
{
    struct stat st;
    if (stat(place->marker, &st) != 0) {
        return FALSE;
    }
    *since = st.st_mtime;
    return deployed_last(place->folder, digest, NULL);
}

const char *place_note(const Place *place)
{
    return place->note;
}

gboolean place_stands(const Place *place, IngotDigest *digest, gint64 *since)
{
    return !g_file_test(place->note, G_FILE_TEST_EXISTS) && place_done(place, digest, since);
}

gboolean place_begin(Place *place, const IngotDigest *digest, guint tries, gint64 since, GError **error)
{
    const Attempt attempt = {.digest = *digest, .tries = tries, .since = since};
    g_clear_pointer(&place->before, g_bytes_unref);
    place->noted = g_file_test(place->note, G_FILE_TEST_EXISTS);
    place->before = ingot_file_read_regular(place->note, ATTEMPT_MAX, NULL);
    return attempt_write(&attempt, place->note, error);
}

/* What was noted and could not be read stays something that has begun. */
gboolean place_take_back(const Place *place, GError **error)
{
    if (place->before != NULL) {
        gsize size;
        const void *bytes = g_bytes_get_data(place->before, &size);
        return ingot_file_replace(place->note, bytes, size, 0644, error);
    }
    if (!place->noted && unlink(place->note) != 0 && errno != ENOENT) {
        ingot_error_set_errno(error, errno, "%s", place->note);
        return FALSE;
    }
    return ingot_file_sync_folder(place->note, error);
}

gboolean place_begun(const Place *place, Attempt *attempt)
{
    return attempt_read(attempt, place->note);
}

gboolean place_fail(const Place *place, const Attempt *attempt, GError **error)
{
    return !g_file_test(place->note, G_FILE_TEST_EXISTS) || attempt_write(attempt, place->note, error);
}

gboolean place_finish(const Place *place, const IngotDigest *digest, GError **error)
{
    IngotDigest stands;
    gint64 since;
    g_autofree char *text = ingot_digest_to_text(digest);
    if (place_stands(place, &stands, &since) && ingot_digest_equal(&stands, digest)) {
        return ingot_file_sync_folder(place->marker, error);
    }
    return ingot_file_replace(place->note, text, strlen(text), 0644, error) &&
           ingot_file_publish(-1, place->note, place->marker, error);
}

gboolean place_complete(const Place *place, GError **error)
{
    IngotDigest digest;
    g_autoptr(GBytes) bytes = ingot_file_read_regular(place->note, ATTEMPT_MAX, NULL);
    gsize size = 0;
    const char *data = bytes == NULL ? "" : g_bytes_get_data(bytes, &size);
    g_autofree char *text = g_strndup(data, size);
    return !ingot_digest_parse(text, &digest, NULL) || place_finish(place, &digest, error);
}

/* Of the file is this with DISK_SUFFIX, of the folder of several this alone. */
static char *place_disk_name(const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return g_strconcat(DISK_PREFIX, strchr(text, ':') + 1, NULL);
}

static gboolean place_is_of(const char *name, const char *disk)
{
    return disk != NULL && g_str_has_prefix(name, disk);
}

void place_tidy(const Place *place, const IngotDigest *target)
{
    IngotDigest done;
    gint64 since;
    g_autofree char *own = place_disk_name(target),
                    *before = place_done(place, &done, &since) ? place_disk_name(&done) : NULL;
    g_autoptr(GDir) folder = g_dir_open(place->folder, 0, NULL);
    for (const char *name; folder != NULL && (name = g_dir_read_name(folder)) != NULL;) {
        if (g_str_has_prefix(name, DISK_PREFIX) && !place_is_of(name, own) && !place_is_of(name, before)) {
            g_autofree char *path = g_build_filename(place->folder, name, NULL);
            ingot_file_remove_tree(path, NULL);
        }
    }
}

/* Flushed, and to be read alone: a name can be given to it. -1: an error; close it. */
static int place_write(const IngotImage *image, IngotDisk *disk, const char *path, GError **error)
{
    const IngotFormatInput input = {.disk = disk, .config = image->config, .name = image->entry->name};
    if (!ingot_format_export(&format_raw, &input, path, ingot_command_progress(), error)) {
        return -1;
    }
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    if (fd >= 0 && (fchmod(fd, 0444) != 0 || fsync(fd) != 0)) {
        ingot_error_set_errno(error, errno, "%s", path);
        return -1;
    }
    return g_steal_fd(&fd);
}

static char *place_nth(const char *folder, guint number)
{
    g_autofree char *name = g_strdup_printf("%u" DISK_SUFFIX, number);
    return g_build_filename(folder, name, NULL);
}

/* The folder of several. */
static int place_write_all(const IngotImage *image, IngotDisk *disk, const char *path, GError **error)
{
    if (!ingot_file_make_folder(path, error)) {
        return -1;
    }
    for (guint i = 0; i < ingot_disk_count(disk); i++) {
        g_autofree char *file = place_nth(path, i);
        g_auto(IngotFd) fd = place_write(image, ingot_disk_member(disk, i), file, error);
        if (fd < 0) {
            return -1;
        }
    }
    return ingot_file_open(path, O_RDONLY | O_DIRECTORY, 0, error);
}

/* Under a name of its own until all of it is on the disk. */
static gboolean place_make(const Place *place, const IngotImage *image, const char *path, GError **error)
{
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, error);
    g_autofree char *part = g_build_filename(place->folder, DISK_PREFIX "part", NULL);
    IngotProgress *progress = ingot_command_progress();
    if (disk == NULL || !ingot_file_remove_tree(part, error)) { /* of a follower that was killed */
        return FALSE;
    }
    ingot_progress_begin(progress, ingot_image_size(image), "write %s", path);
    g_auto(IngotFd) fd =
        ingot_disk_count(disk) == 1 ? place_write(image, disk, part, error) : place_write_all(image, disk, part, error);
    if (fd < 0) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    ingot_image_remember(image, disk);
    return ingot_file_publish(fd, part, path, error);
}

char **place_disks(const Place *place, const IngotImage *image, const IngotDigest *digest, GError **error)
{
    g_autofree char *name = place_disk_name(digest);
    guint count = image->disks->len;
    g_autofree char *file = g_strconcat(name, count == 1 ? DISK_SUFFIX : "", NULL);
    g_autofree char *path = g_build_filename(place->folder, file, NULL);
    if (!g_file_test(path, G_FILE_TEST_EXISTS) && !place_make(place, image, path, error)) {
        return NULL;
    }
    char **paths = g_new0(char *, count + 1);
    for (guint i = 0; i < count; i++) {
        paths[i] = count == 1 ? g_strdup(path) : place_nth(path, i);
    }
    return paths;
}

int place_take_turn(const Place *place, int every, void (*waits)(gpointer user), gpointer user, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(place->turn, O_RDWR | O_CREAT, 0600, error);
    gint64 next = 0;
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
        if (errno != EWOULDBLOCK && errno != EINTR) {
            ingot_error_set_errno(error, errno, "%s", place->turn);
            return -1;
        }
        if (next == 0) {
            ingot_progress_message(ingot_command_progress(), "the command of a follower that was killed still runs");
        }
        if (g_get_monotonic_time() >= next) {
            waits(user);
            next = g_get_monotonic_time() + every * G_TIME_SPAN_MILLISECOND;
        }
        if (poll(&wait, 1, LOOK_EVERY) != 0 && !ingot_interrupt_check(error)) {
            return -1;
        }
    }
    return g_steal_fd(&fd);
}
