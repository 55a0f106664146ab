#include "cli/common.h"

#include "base/command.h"
#include "base/json.h"
#include "format/all.h"
#include <ingot/error.h>
#include <stdio.h>
#include <unistd.h>

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
    for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p)) {
        gunichar one = g_utf8_get_char(p);
        if (one >= 0x7f && one < 0xa0) { /* a control character, which JSON need not escape and terminals obey */
            printf("\\u%04x", one);
        } else {
            printf("%.*s", (int)(g_utf8_next_char(p) - p), p);
        }
    }
}

void cli_output_clear(CliOutput *output)
{
    g_free(output->format);
    g_free(output->path);
}

gboolean cli_output_is_stdout(const CliOutput *output)
{
    return g_strcmp0(output->path, "-") == 0;
}

const IngotFormat *cli_output_format(const CliOutput *output, GError **error)
{
    const IngotFormat *format = output->format == NULL ? &format_raw : ingot_format_find(output->format, error);
    if (output->path == NULL && output->format != NULL && format != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--format says how -o FILE is written: --output FILE is missing");
        return NULL;
    }
    if (format != NULL && cli_output_is_stdout(output) && format != &format_raw) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-o -: only raw can go to stdout, not %s", format->name);
        return NULL;
    }
    return format;
}

static gboolean stream(const IngotImage *image, GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, error);
    if (disk == NULL) {
        return FALSE;
    }
    ingot_command_streams();
    ingot_progress_begin(progress, image->index->disk_size, "write -");
    if (!ingot_disk_stream(disk, STDOUT_FILENO, progress, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    ingot_image_remember(image, disk);
    return TRUE;
}

gboolean cli_output_write(const CliOutput *output, const IngotImage *image, const IngotFormat *format, GError **error)
{
    if (cli_output_is_stdout(output)) {
        return stream(image, error);
    }
    IngotProgress *progress = ingot_command_progress();
    g_autoptr(IngotDisk) disk = ingot_image_disk(image, error);
    const IngotFormatInput input = {.disk = disk, .config = image->config, .name = image->entry->name};
    if (disk == NULL || !ingot_format_can(format, &input, error)) {
        return FALSE;
    }
    ingot_progress_begin(progress, image->index->disk_size, "write %s", output->path);
    if (!ingot_format_export(format, &input, output->path, progress, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    ingot_image_remember(image, disk);
    return TRUE;
}
