#include "cli/common.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "format/all.h"
#include "format/target.h"

#define SHORT_DIGEST 19 /* "sha256:" and 12 digits */

IngotStore *cli_store(GError **error)
{
    return ingot_store_open(ingot_command_common()->store, error);
}

IngotStore *cli_store_to_read(void)
{
    return ingot_store_open_lazy(ingot_command_common()->store);
}

char *cli_short_digest(const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return g_strndup(text, SHORT_DIGEST);
}

void cli_print_result(const char *text, const IngotDigest *digest)
{
    char full[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, full);
    if (ingot_command_common()->quiet) {
        printf("%s\n", full);
    } else {
        printf("%s %s\n", text, full);
    }
}

IngotReference *cli_remote_reference(const char *text, GError **error)
{
    IngotReference *reference = ingot_reference_parse(text, error);
    if (reference != NULL && reference->host == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s has no host: HOST[:PORT]/NAME[:TAG] is expected, as in 127.0.0.1:5000/team/web:1.0.0", text);
        g_clear_pointer(&reference, ingot_reference_free);
    }
    return reference;
}

IngotRemoteOptions *cli_remote_options(gboolean allow)
{
    IngotRemoteOptions *options = ingot_remote_options_from_environment();
    options->allow_revoked |= allow;
    return options;
}

char *cli_host(const char *text, GError **error)
{
    g_autoptr(IngotReference) where = ingot_reference_parse_location(text, error);
    if (where != NULL && where->name != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST[:PORT] alone is expected", text);
        return NULL;
    }
    return where == NULL ? NULL : g_strdup(where->host);
}

void cli_print_json(const json_t *value)
{
    g_autofree char *text = ingot_json_pretty(value);
    const char *plain = text; /* what is not written yet */
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar one = g_utf8_get_char(p);
        if (one >= 0x7f && one < 0xa0) { /* a control character, which JSON need not escape and terminals obey */
            fwrite(plain, 1, (size_t)(p - plain), stdout);
            printf("\\u%04x", one);
            plain = g_utf8_next_char(p);
        }
    }
    fputs(plain, stdout);
}

void cli_output_clear(CliOutput *output)
{
    g_free(output->format);
    g_free(output->path);
    g_free(output->disk);
}

static gboolean is_stdout(const CliOutput *output)
{
    return g_strcmp0(output->path, "-") == 0;
}

gboolean cli_output_is_stream(const CliOutput *output)
{
    return is_stdout(output) || (output->path != NULL && format_target_is_stream(output->path));
}

static gboolean refuse_terminal(const CliOutput *output, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "-o %s: a disk's bytes are no text for a terminal: redirect it, or give a file", output->path);
    return FALSE;
}

/* Looked at before anything is fetched for it. */
static gboolean check_place(const CliOutput *output, const IngotFormat *format, GError **error)
{
    if (cli_output_is_stream(output) && format != &format_raw) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-o %s: only raw can go to %s, not %s", output->path,
                    is_stdout(output) ? "stdout" : "a pipe or the like", format->name);
        return FALSE;
    }
    if (is_stdout(output)) {
        return !isatty(STDOUT_FILENO) || refuse_terminal(output, error);
    }
    return cli_output_is_stream(output) ? TRUE
           : format_is_folder(format)   ? format_folder_check(output->path, error)
                                        : format_target_check(output->path, error);
}

/* raw is what is written without -F, whatever the name says. */
static void note_format(const CliOutput *output)
{
    const char *suffix = strrchr(output->path, '.');
    const IngotFormat *named = suffix == NULL ? NULL : ingot_format_find(suffix + 1, NULL);
    if (output->format == NULL && named != NULL && named != &format_raw) {
        ingot_progress_message(ingot_command_progress(), "%s is a raw disk; -F %s writes what its name says",
                               output->path, named->name);
    }
}

const IngotFormat *cli_output_format(const CliOutput *output, GError **error)
{
    const IngotFormat *format = output->format == NULL ? &format_raw : ingot_format_find(output->format, error);
    if (output->path == NULL && (output->format != NULL || output->disk != NULL) && format != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--%s says %s: --output FILE is missing",
                    output->format != NULL ? "format" : "disk",
                    output->format != NULL ? "how -o FILE is written" : "which disk is written to -o FILE");
        return NULL;
    }
    if (output->path != NULL && format != NULL && !check_place(output, format, error)) {
        return NULL;
    }
    return format;
}

static int open_stream(const CliOutput *output, GError **error)
{
    if (!is_stdout(output)) {
        return format_target_open_stream(output->path, error);
    }
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0) {
        ingot_error_set_errno(error, errno, "stdout");
    }
    return fd;
}

/* --- which of an image's disks --- */

/* *number, and *count: 0 where no disk is named. */
static gboolean parse_disk(const CliOutput *output, const IngotImage *image, guint *number, guint *count,
                           GError **error)
{
    guint64 given;
    *number = *count = 0;
    if (output->disk == NULL) {
        return TRUE;
    }
    if (!g_ascii_string_to_unsigned(output->disk, 10, 0, G_MAXUINT, &given, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--disk %s: a number is expected, 0 for the first disk",
                    output->disk);
        return FALSE;
    }
    if (given >= image->disks->len) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s has %u disk%s, the first of which is 0: no disk %s",
                    image->entry->name, image->disks->len, image->disks->len == 1 ? "" : "s", output->disk);
        return FALSE;
    }
    *number = (guint)given;
    *count = 1;
    return TRUE;
}

/* Several disks become a folder, unless the format has them in one file. */
static gboolean check_several(const CliOutput *output, const IngotImage *image, const IngotFormat *format,
                              const IngotFormatInput *input, GError **error)
{
    gboolean folder = ingot_format_is_folder(format, input) && !format_is_folder(format);
    if (folder && (cli_output_is_stream(output) || g_file_test(output->path, G_FILE_TEST_EXISTS))) {
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_INVALID,
            "-o %s: %s has %u disks, which become a folder of files: give the name of a new one, or --disk N for "
            "one of them alone (0 to %u)",
            output->path, image->entry->name, image->disks->len, image->disks->len - 1);
        return FALSE;
    }
    return TRUE;
}

/* Bytes of the disks that are written. */
static guint64 size_of(const IngotFormatInput *input)
{
    return input->count == 0 ? ingot_disk_size(input->disk)
                             : ingot_disk_size(ingot_disk_member(input->disk, input->number));
}

/* --- writing --- */

static gboolean stream(const CliOutput *output, const IngotFormatInput *input, GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    g_auto(IngotFd) fd = open_stream(output, error);
    if (fd < 0 || (isatty(fd) && !refuse_terminal(output, error))) {
        return FALSE;
    }
    ingot_command_streams();
    ingot_progress_begin(progress, size_of(input), "write %s", output->path);
    if (!ingot_disk_stream(ingot_disk_member(input->disk, input->number), fd, progress, error) ||
        !ingot_fd_close(&fd, output->path, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}

static gboolean write_files(const CliOutput *output, const IngotFormat *format, const IngotFormatInput *input,
                            GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    if (!ingot_format_can(format, input, error)) {
        return FALSE;
    }
    note_format(output);
    ingot_progress_begin(progress, size_of(input), "write %s", output->path);
    if (!ingot_format_export(format, input, output->path, progress, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}

gboolean cli_output_write(const CliOutput *output, const IngotImage *image, const IngotFormat *format, GError **error)
{
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, error);
    IngotFormatInput input = {.disk = disk, .config = image->config, .name = image->entry->name};
    if (disk == NULL || !parse_disk(output, image, &input.number, &input.count, error) ||
        !check_several(output, image, format, &input, error)) {
        return FALSE;
    }
    if (!(cli_output_is_stream(output) ? stream(output, &input, error) : write_files(output, format, &input, error))) {
        return FALSE;
    }
    ingot_image_remember(image, disk);
    return TRUE;
}
