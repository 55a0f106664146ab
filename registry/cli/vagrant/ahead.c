#include "cli/vagrant/ahead.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/command.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "cli/common.h"
#include "cli/vagrant/fetch.h"
#include "remote/environment.h"
#include "remote/ours.h"

#define URL_MAX 4096u

/* What will be asked for, as far as it is known. */
typedef struct {
    char *home;      /* Vagrant's folder */
    char *catalogue; /* its URL */
    char *provider;  /* NULL: not named */
} Guess;

static void guess_clear(Guess *guess)
{
    g_free(guess->home);
    g_free(guess->catalogue);
    g_free(guess->provider);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Guess, guess_clear)

/* --- the command line --- */

/* Vagrant's own way to write a box's name as that of a folder. */
static char *box_folder(const char *home, const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", -1);
    g_autofree char *folder = g_strjoinv("-VAGRANTSLASH-", parts);
    return g_build_filename(home, "boxes", folder, NULL);
}

static char *known_catalogue(const char *home, const char *name)
{
    g_autofree char *folder = box_folder(home, name), *path = g_build_filename(folder, "metadata_url", NULL);
    g_autoptr(GBytes) bytes = ingot_file_read(path, URL_MAX, NULL);
    return bytes == NULL ? NULL : g_strstrip(g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
}

/* The value of an option, "--provider libvirt" or "--provider=libvirt"; NULL: it is not given. */
static const char *option(char **argv, const char *name)
{
    for (guint i = 0; argv[i] != NULL; i++) {
        if (strcmp(argv[i], name) == 0) {
            return argv[i + 1];
        }
        if (g_str_has_prefix(argv[i], name) && argv[i][strlen(name)] == '=') {
            return argv[i] + strlen(name) + 1;
        }
    }
    return NULL;
}

static const char *first_url(char **argv)
{
    for (guint i = 0; argv[i] != NULL; i++) {
        if (g_str_has_prefix(argv[i], "http://") || g_str_has_prefix(argv[i], "https://")) {
            return argv[i];
        }
    }
    return NULL;
}

static gboolean guess(int argc, char **argv, Guess *out)
{
    const char *home = g_getenv("VAGRANT_HOME"), *name = option(argv, "--box");
    *out = (Guess){0};
    if (argc < 4 || g_strcmp0(argv[1], "box") != 0 || option(argv, "--box-version") != NULL) {
        return FALSE;
    }
    out->home = home != NULL ? g_strdup(home) : g_build_filename(g_get_home_dir(), ".vagrant.d", NULL);
    out->provider = g_strdup(option(argv, "--provider"));
    if (g_strcmp0(argv[2], "update") == 0 && name != NULL) {
        out->catalogue = known_catalogue(out->home, name);
    } else if (g_strcmp0(argv[2], "add") == 0) {
        out->catalogue = g_strdup(first_url(argv));
    }
    return out->catalogue != NULL;
}

/* --- the catalogue --- */

static json_t *read_catalogue(const char *url)
{
    g_autofree char *host = NULL, *path = NULL;
    /* No other catalogue is asked for twice. */
    gboolean ours = fetch_address(url, &host, &path) && g_str_has_prefix(path, "/vagrant/");
    g_autoptr(IngotRemote) remote = ours ? environment_remote(host, NULL) : NULL;
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_remote_get_path(remote, path, CATALOGUE_MAX, NULL);
    gsize room = CATALOGUE_VALUES;
    return bytes == NULL
               ? NULL
               : ingot_json_parse_within(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), url, &room, NULL);
}

/* Whether some version, or that one, of the box is there for that provider; since Vagrant 2.4 the architecture has a
 * folder between. */
static gboolean is_installed(const char *folder, const char *wanted, const json_t *provider)
{
    const char *name = json_string_value(json_object_get(provider, "name"));
    const char *architecture = json_string_value(json_object_get(provider, "architecture"));
    g_autoptr(GDir) versions = g_dir_open(folder, 0, NULL);
    const char *version;
    while (versions != NULL && (version = g_dir_read_name(versions)) != NULL) {
        g_autofree char *path = g_build_filename(folder, version, name, NULL);
        g_autofree char *new_path =
            g_build_filename(folder, version, architecture == NULL ? "-" : architecture, name, NULL);
        if ((wanted == NULL || strcmp(version, wanted) == 0) &&
            (g_file_test(path, G_FILE_TEST_IS_DIR) || g_file_test(new_path, G_FILE_TEST_IS_DIR))) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_meant(const Guess *known, const char *folder, const json_t *providers, const json_t *one)
{
    const char *name = json_string_value(json_object_get(one, "name"));
    return name != NULL &&
           (known->provider != NULL ? strcmp(name, known->provider) == 0
                                    : json_array_size(providers) == 1 || is_installed(folder, NULL, one));
}

/* The URL of the newest box that is not there yet. NULL: there is none, or it can't be told which. Free it. */
static char *pick(const Guess *known, const json_t *catalogue)
{
    const json_t *newest = json_array_get(json_object_get(catalogue, "versions"), 0);
    const json_t *providers = json_object_get(newest, "providers");
    const char *name = json_string_value(json_object_get(catalogue, "name"));
    const char *version = json_string_value(json_object_get(newest, "version"));
    if (name == NULL || version == NULL) {
        return NULL;
    }
    g_autofree char *folder = box_folder(known->home, name);
    for (size_t i = 0; i < json_array_size(providers); i++) {
        const json_t *one = json_array_get(providers, i);
        if (is_meant(known, folder, providers, one)) {
            return is_installed(folder, version, one) ? NULL : g_strdup(json_string_value(json_object_get(one, "url")));
        }
    }
    return NULL;
}

/* --- the file --- */

/* Where Vagrant will have that URL's file. */
static char *output_of(const char *home, const char *url)
{
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA1, url, -1);
    g_autofree char *file = g_strconcat("box", sum, NULL);
    return g_build_filename(home, "tmp", file, NULL);
}

static char *made_path(const char *output)
{
    return g_strconcat(output, ".ingot", NULL);
}

static char *lock_path(const char *output)
{
    return g_strconcat(output, ".ingot-lock", NULL);
}

/* Vagrant's end is ours too. */
static gpointer end_with(gpointer vagrant)
{
    struct pollfd end = {.fd = GPOINTER_TO_INT(vagrant), .events = POLLIN};
    while (poll(&end, 1, -1) < 0) {
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

static void wait_for_end(void)
{
    struct pollfd end = {.fd = ingot_interrupt_fd(), .events = POLLIN};
    while (ingot_interrupt_check(NULL)) {
        poll(&end, 1, -1);
    }
}

static void make(const Guess *known, const char *url)
{
    g_autofree char *output = output_of(known->home, url), *made = made_path(output), *locked = lock_path(output);
    g_auto(FetchPlace) place = {0};
    IngotLock *lock = fetch_parse(url, &place) ? ingot_lock_take(locked, TRUE, FALSE, NULL) : NULL;
    g_autoptr(IngotStore) store = lock == NULL ? NULL : cli_store(NULL);
    gboolean ok = store != NULL && fetch_file(store, &place, made, ingot_command_progress(), NULL);
    if (lock != NULL) {
        ingot_lock_release(lock);
        if (ok) {
            wait_for_end();
        }
        unlink(made);
        unlink(locked);
    }
}

static void work(const Guess *known, int vagrant)
{
    g_setenv("TERM", "dumb", TRUE); /* Vagrant writes to the terminal too: lines alone, no bar */
    g_thread_unref(g_thread_new("end", end_with, GINT_TO_POINTER(vagrant)));
    g_autoptr(json_t) catalogue = read_catalogue(known->catalogue);
    g_autofree char *url = catalogue == NULL ? NULL : pick(known, catalogue);
    if (url != NULL) {
        make(known, url);
    }
}

void ahead_start(int argc, char **argv)
{
    g_auto(Guess) known = {0};
    if (!guess(argc, argv, &known)) {
        return;
    }
    g_auto(IngotFd) vagrant = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t child = vagrant < 0 ? -1 : fork();
    if (child == 0) {
        /* What goes on is nobody's child, least of all Vagrant's. */
        if (fork() == 0) {
            work(&known, vagrant);
        }
        _exit(0);
    }
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
}

gboolean ahead_take(const char *output)
{
    g_autofree char *made = made_path(output), *locked = lock_path(output);
    if (access(locked, F_OK) != 0) {
        return FALSE;
    }
    g_autoptr(IngotLock) lock = ingot_lock_take(locked, TRUE, TRUE, NULL);
    if (lock == NULL) {
        return FALSE;
    }
    unlink(locked); /* whoever makes the file may have ended since the look, and this lock's file would be left */
    return rename(made, output) == 0;
}
