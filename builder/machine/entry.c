#include "machine/entry.h"

#include <archive.h>
#include <archive_entry.h>
#include <ingot/error.h>
#include <string.h>

char *entry_credential(const char *public_key)
{
    g_autofree char *line = g_strconcat("\n", public_key, "\n", NULL);
    g_autofree char *key = g_base64_encode((const guchar *)line, strlen(line));
    /* Added (w+) to sshd's second file, behind an empty line, since the last key there may end without a newline: keys
     * that the image has in either file stay, as do their modes and owners (the colons). The seal takes both lines out
     * again. A server that reads the first file alone finds the key there where the image has none. */
    g_autofree char *tmpfiles = g_strdup_printf("d /root/.ssh :0700 :root :root -\n"
                                                "f /root/.ssh/authorized_keys2 :0600 :root :root -\n"
                                                "w+~ /root/.ssh/authorized_keys2 - - - - %s\n"
                                                "f~ /root/.ssh/authorized_keys :0600 :root :root - %s\n",
                                                key, key);
    g_autofree char *encoded = g_base64_encode((const guchar *)tmpfiles, strlen(tmpfiles));
    return g_strconcat("io.systemd.credential.binary:tmpfiles.extra=", encoded, NULL);
}

static int add_file(struct archive *iso, const char *name, const char *text)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)strlen(text));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    int status = archive_write_header(iso, entry);
    if (status == ARCHIVE_OK && archive_write_data(iso, text, strlen(text)) < 0) {
        status = ARCHIVE_FATAL;
    }
    archive_entry_free(entry);
    return status;
}

gboolean entry_write_seed(const char *path, const char *public_key, const char *hostname, GError **error)
{
    g_autofree char *meta = g_strdup_printf("instance-id: %s-%08x\n", hostname, g_random_int());
    /* Nothing but the key: a host name, a password that is locked or a setting of sshd would stay in the image. */
    g_autofree char *user = g_strdup_printf("#cloud-config\n"
                                            "disable_root: false\n"
                                            "preserve_hostname: true\n"
                                            "users:\n"
                                            "  - name: root\n"
                                            "    lock_passwd: false\n"
                                            "    ssh_authorized_keys:\n"
                                            "      - %s\n",
                                            public_key);
    struct archive *iso = archive_write_new();
    gboolean ok = archive_write_set_format_iso9660(iso) == ARCHIVE_OK &&
                  archive_write_set_options(iso, "iso9660:volume-id=cidata") == ARCHIVE_OK &&
                  archive_write_open_filename(iso, path) == ARCHIVE_OK &&
                  add_file(iso, "meta-data", meta) == ARCHIVE_OK && add_file(iso, "user-data", user) == ARCHIVE_OK &&
                  archive_write_close(iso) == ARCHIVE_OK;
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", path, archive_error_string(iso));
    }
    archive_write_free(iso);
    return ok;
}
