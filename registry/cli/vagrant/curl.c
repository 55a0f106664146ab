#include "cli/vagrant/curl.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/credentials.h>
#include <ingot/error.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/command.h"
#include "base/file.h"
#include "base/process.h"
#include "base/prompt.h"
#include "base/terminal.h"
#include "base/text.h"
#include "cli/vagrant/ahead.h"
#include "cli/vagrant/await.h"
#include "cli/vagrant/fetch.h"
#include "cli/vagrant/judge.h"

/* What Vagrant's command line says, as far as it matters here. */
typedef struct {
    const char *url;    /* the last argument; NULL: there is none */
    const char *output; /* NULL: none, it asks for the head */
    const char *bearer; /* a token; NULL: none */
    const char *ca;     /* file of certificates; NULL: none is named */
    gboolean resumes;   /* what is at output is to be gone on with */
    gboolean has_login; /* name and password are given */
    gboolean trusts;    /* redirections are told the login */
    Judged judged;      /* what the policy asks of the download */
} Call;

gboolean curl_is_called(const char *program)
{
    g_autofree char *name = program == NULL ? NULL : g_path_get_basename(program);
    return g_strcmp0(name, "curl") == 0;
}

static Call read_call(int argc, char **argv)
{
    static const char bearer[] = "Authorization: Bearer ";
    Call call = {.url = argc > 1 ? argv[argc - 1] : NULL};
    for (int i = 1; i + 1 < argc; i++) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--output") == 0) {
            call.output = value;
        } else if (strcmp(argv[i], "--continue-at") == 0) {
            call.resumes = TRUE;
        } else if (strcmp(argv[i], "--location-trusted") == 0) {
            call.trusts = TRUE;
            continue;
        } else if (strcmp(argv[i], "--cacert") == 0) {
            call.ca = value;
        } else if (strcmp(argv[i], "-u") == 0) {
            call.has_login = TRUE;
        } else if (strcmp(argv[i], "-H") == 0 && g_str_has_prefix(value, bearer)) {
            call.bearer = value + strlen(bearer);
        } else {
            continue;
        }
        i++;
    }
    return call;
}

/* --- the file --- */

/* All but the last byte: of a file that is there whole, curl would say that nothing is to be had (416), which to
 * Vagrant is a failure. */
static gboolean shorten(const char *path, GError **error)
{
    struct stat st;
    return (stat(path, &st) == 0 && truncate(path, st.st_size - 1) == 0) ||
           ingot_error_set_errno(error, errno, "%s", path);
}

/* FALSE: nothing was changed at call->output. */
static gboolean make_file(const Call *call, const FetchPlace *place, IngotProgress *progress, GError **error)
{
    if (!ahead_take(call->output)) {
        g_autoptr(IngotStore) store = ingot_store_open(g_getenv("INGOT_STORE"), error);
        if (store == NULL || !fetch_file(store, place, call->output, progress, error)) {
            return FALSE;
        }
    }
    return call->judged == JUDGED_BOX || shorten(call->output, error);
}

/* Our words go past Vagrant, which reads curl's: *made tells whether there is a file to go on with, *refused (free it)
 * that there is not to be one, and why. FALSE: we were interrupted. */
static gboolean prepare(const Call *call, const FetchPlace *place, gboolean *made, char **refused)
{
    const char *told = g_getenv(CURL_VARIABLE);
    g_auto(IngotFd) own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    g_auto(IngotFd) out = open(told, O_WRONLY | O_APPEND | O_CLOEXEC);
    g_autoptr(GError) error = NULL;
    if (out >= 0) {
        dup2(out, STDERR_FILENO);
    }
    IngotProgress *progress = terminal_progress_new(out < 0 || strcmp(told, "/dev/null") == 0);
    *made = make_file(call, place, progress, &error);
    ingot_progress_free(progress);
    gboolean interrupted = !ingot_interrupt_check(NULL);
    if (error != NULL && (call->judged == JUDGED_BOX || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_REFUSED))) {
        *refused = ingot_text_line(error->message);
    } else if (error != NULL && !interrupted) {
        g_autofree char *why = ingot_text_line(error->message);
        fprintf(stderr, "ingot vagrant: %s: %s; the whole is downloaded\n", place->file, why);
    }
    if (own >= 0) {
        dup2(own, STDERR_FILENO);
    }
    return !interrupted;
}

/* --- the real one --- */

/* What is put before the URL, which is the last of Vagrant's arguments; each may be NULL. */
typedef struct {
    char *range; /* a header */
    char *login; /* a file of options */
    const char *ca;
} Additions;

static void additions_clear(Additions *additions)
{
    g_free(additions->range);
    g_free(additions->login);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Additions, additions_clear)

/* As curl's files of options have a text between quotes. */
static void add_quoted(GString *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, *text);
    }
}

/* A login for curl in a file that this process alone has: on the command line everybody could read it. NULL: it can't
 * be written. Free it. */
static char *write_login(const IngotCredentials *login)
{
    GString *line = g_string_new("user = \"");
    add_quoted(line, login->user);
    g_string_append_c(line, ':');
    add_quoted(line, login->password);
    g_string_append(line, "\"\n");
    int fd = memfd_create("login", 0); /* it stays open in curl */
    gboolean ok = fd >= 0 && ingot_file_pwrite(fd, line->str, line->len, 0, "login", NULL);
    ingot_secret_free(g_string_free(line, FALSE));
    return ok ? g_strdup_printf("/proc/self/fd/%d", fd) : NULL;
}

/* Whoever has logged in by `ingot login` need not tell Vagrant once more; nor what certificates are good. */
static void add_what_is_kept(const Call *call, Additions *additions)
{
    g_autofree char *host = NULL, *path = NULL;
    g_autoptr(IngotCredentials) login = NULL;
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    gboolean known = call->url != NULL && fetch_address(call->url, &host, &path);
    const char *name = known ? fetch_behind_door(path) : NULL, *ca = g_getenv("INGOT_CA");
    if (name == NULL) {
        return;
    }
    if (call->ca == NULL && ca != NULL && *ca != '\0') {
        additions->ca = ca;
    }
    /* Logins are kept for names and for their beginnings. */
    if (!call->has_login && call->bearer == NULL && !call->trusts &&
        ingot_credentials_find(options, host, name, &login, NULL, NULL) && login != NULL && login->identity == NULL) {
        additions->login = write_login(login);
    }
}

/* The next in $PATH that is not this program. Free it. */
static char *find_curl(void)
{
    g_auto(GStrv) folders = g_strsplit(g_getenv("PATH") == NULL ? "/usr/bin:/bin" : g_getenv("PATH"), ":", -1);
    g_autofree char *self = realpath("/proc/self/exe", NULL);
    for (guint i = 0; folders[i] != NULL; i++) {
        g_autofree char *path = g_build_filename(folders[i], "curl", NULL), *real = realpath(path, NULL);
        if (real != NULL && access(path, X_OK) == 0 && g_strcmp0(real, self) != 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

static void add_pair(GPtrArray *arguments, const char *option, const char *value)
{
    if (value != NULL) {
        g_ptr_array_add(arguments, (char *)option);
        g_ptr_array_add(arguments, (char *)value);
    }
}

/* Vagrant's own, with the additions; ended by NULL. */
static GPtrArray *list_arguments(int argc, char **argv, const Call *call, const Additions *additions)
{
    GPtrArray *arguments = g_ptr_array_new();
    for (int i = 0; i < argc; i++) {
        if (argv[i] == call->url) {
            add_pair(arguments, "-H", additions->range);
            add_pair(arguments, "-K", additions->login);
            add_pair(arguments, "--cacert", additions->ca);
        }
        g_ptr_array_add(arguments, argv[i]);
    }
    g_ptr_array_add(arguments, NULL);
    return arguments;
}

/* awaits: first until the registry has the file. */
static int become_curl(int argc, char **argv, const Call *call, const Additions *additions, gboolean awaits)
{
    g_autofree char *program = find_curl();
    if (program == NULL) {
        fprintf(stderr, "curl: (2) `ingot vagrant` finds no curl in $PATH\n");
        return 2;
    }
    g_autoptr(GPtrArray) arguments = list_arguments(argc, argv, call, additions);
    if (awaits && !await_file(program, (const char *const *)arguments->pdata, g_getenv(CURL_VARIABLE))) {
        return 130;
    }
    execv(program, (char **)arguments->pdata);
    fprintf(stderr, "curl: (2) cannot run %s: %s\n", program, g_strerror(errno));
    return 2;
}

/* --- both --- */

#define GO_ON (-1) /* with the real curl */

/* As of what a server refuses. */
static int refuse(const char *why)
{
    fprintf(stderr, "curl: (22) ingot: %s\n", why);
    return 22;
}

/* It is for the URL that stands beside it, and no other. */
static void use_token(const Call *call, const char *host)
{
    if (call->bearer != NULL) {
        g_setenv("INGOT_TOKEN", call->bearer, TRUE);
        g_setenv("INGOT_TOKEN_HOST", host, TRUE);
    }
}

/* The box, from the store. The exit status, or GO_ON: *made tells with what. */
static int make_box(const Call *call, const FetchPlace *place, gboolean *made)
{
    g_autofree char *refused = NULL;
    use_token(call, place->host);
    ingot_interrupt_install();
    return !prepare(call, place, made, &refused) ? 130
           : refused != NULL                     ? refuse(refused)
           : call->judged == JUDGED_BOX          ? 0
                                                 : GO_ON;
}

/* The real curl's, and whether it may be taken. The exit status. */
static int judge_download(int argc, char **argv, const Call *call, const Additions *additions)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* Vagrant ends this process alone */
        _exit(become_curl(argc, argv, call, additions, FALSE));
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return refuse(g_strerror(errno));
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    g_autofree char *host = NULL, *path = NULL;
    g_autoptr(GError) error = NULL;
    if (fetch_address(call->url, &host, &path)) {
        use_token(call, host);
    }
    if (judge_catalogue(call->url, call->output, &error)) {
        return 0;
    }
    g_autofree char *why = ingot_text_line(error->message);
    unlink(call->output);
    return refuse(why);
}

int curl_run(int argc, char **argv)
{
    Call call = read_call(argc, argv);
    g_auto(FetchPlace) place = {0};
    g_auto(Additions) additions = {0};
    gboolean made = FALSE, is_box = FALSE;
    if (g_getenv(CURL_VARIABLE) == NULL) {
        return become_curl(argc, argv, &call, &additions, FALSE);
    }
    if (call.ca != NULL) {
        g_setenv("INGOT_CA", call.ca, FALSE);
    }
    if (call.url != NULL && g_str_has_prefix(call.url, "https:")) {
        g_setenv("INGOT_PLAIN_HTTP", "none", TRUE); /* this process asks no other registry */
    }
    is_box = call.url != NULL && fetch_parse(call.url, &place);
    call.judged = call.url == NULL || call.output == NULL ? JUDGED_NOT : judge_url(call.url);
    if (call.judged == JUDGED_UNCLEAR) {
        return refuse(
            "a policy speaks of what this URL may name, which is not to be told by it: a catalogue is taken as "
            "https://HOST/vagrant/NAME, below no other path, and boxes as it names them");
    }
    if (call.judged == JUDGED_BOX && !is_box) {
        return refuse(
            "a policy speaks of this box's image: it is taken by its digest alone, as catalogues name it, and "
            "by the scheme that `ingot pull` would take");
    }
    if (is_box && call.output != NULL && (call.resumes || call.judged == JUDGED_BOX)) {
        int status = make_box(&call, &place, &made);
        if (status != GO_ON) {
            return status;
        }
    }
    if (made) {
        g_autofree char *tag = fetch_tag(&place);
        additions.range = g_strconcat("If-Range: ", tag, NULL);
    }
    add_what_is_kept(&call, &additions);
    return call.judged == JUDGED_CATALOGUE ? judge_download(argc, argv, &call, &additions)
                                           : become_curl(argc, argv, &call, &additions, is_box);
}
