/* What a guest may send. The first byte of an input chooses: 'd', an answer to a download (a line, then a file or a
 * tar); any other, the output of an exchange, in which '@' stands for the word that ends it. A file beside the
 * download's target must stay as it is. */
#include <ingot/error.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz.h"
#include "guest/connect.h"
#include "guest/download.h"

static void try_download(const char *data, gsize size)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *victim = ingot_workdir_file(workdir, "victim");
    g_autofree char *out = ingot_workdir_file(workdir, "out");
    g_assert(g_file_set_contents(victim, "untouched", -1, NULL));
    g_autoptr(Download) download = download_new("/from", out);
    g_autoptr(GError) error = NULL;
    gboolean ok = download_sink(data, size, download, &error) && download_finish(download, NULL, NULL, NULL, &error);
    g_assert(ok == (error == NULL));
    g_assert(ok || g_utf8_validate(error->message, -1, NULL));
    g_autofree char *content = NULL;
    g_assert(g_file_get_contents(victim, &content, NULL, NULL));
    g_assert_cmpstr(content, ==, "untouched");
    g_autoptr(GDir) folder = g_dir_open(ingot_workdir_path(workdir), 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(folder)) != NULL) {
        g_assert(strcmp(name, "victim") == 0 || g_str_has_prefix(name, "out") || *name == '.');
    }
}

static gboolean keep_bytes(const char *data, gsize size, gpointer user, GError **error)
{
    (void)error;
    g_string_append_len(user, data, (gssize)size);
    return TRUE;
}

static void try_exchange(const char *data, gsize size)
{
    int ends[2];
    g_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    SessionWord word = session_word();
    g_autoptr(GString) sent = g_string_new(NULL);
    for (gsize i = 0; i < size; i++) {
        if (data[i] == '@') {
            g_string_append(sent, word.joined);
        } else {
            g_string_append_c(sent, data[i]);
        }
    }
    gsize length = MIN(sent->len, 100000); /* what a socket takes at once */
    g_assert(send(ends[1], sent->str, length, 0) == (gssize)length);
    close(ends[1]);
    g_autoptr(Guest) guest = guest_new(guest_channel_new_socket(ends[0]), NULL);
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree char *status = NULL;
    g_autoptr(GError) error = NULL;
    gboolean ok = session_take(guest, &word, session_until(5), keep_bytes, output, &status, &error);
    g_assert(ok == (error == NULL) && ok == (status != NULL));
    g_assert(strstr(output->str, word.joined) == NULL || memchr(data, '@', size) != NULL);
    g_assert(ok == session_usable(guest, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && *data == 'd') {
        try_download((const char *)data + 1, size - 1);
    } else {
        try_exchange((const char *)data, size);
    }
    return 0;
}
