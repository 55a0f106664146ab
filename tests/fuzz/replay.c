/* A harness without a fuzzer: runs over the files of the folders given, so that what once failed stays mended. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

static void run_file(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    gsize size;
    if (!g_file_get_contents(path, &text, &size, &error)) {
        g_error("%s", error->message);
    }
    /* GLib ends the text in a NUL; a fuzzer's input ends where it ends, and a sanitizer sees who reads on. */
    g_autofree guint8 *data = g_memdup2(text, size);
    printf("%s\n", path);
    fflush(stdout); /* a crash names its file */
    LLVMFuzzerTestOneInput(data, size);
}

static guint run_folder(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) folder = g_dir_open(path, 0, &error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    if (folder == NULL) {
        g_error("%s", error->message);
    }
    while ((name = g_dir_read_name(folder)) != NULL) {
        g_ptr_array_add(names, g_build_filename(path, name, NULL));
    }
    for (guint i = 0; i < names->len; i++) {
        run_file(g_ptr_array_index(names, i));
    }
    return names->len;
}

int main(int argc, char **argv)
{
    guint count = 0;
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
    for (int i = 1; i < argc; i++) {
        count += run_folder(argv[i]);
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
