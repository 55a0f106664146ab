#include "server/upkeep/control.h"

#include <curl/curl.h>
#include <errno.h>
#include <ingot/error.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/sockets.h"

#define JOB_MAX (64u << 10) /* bytes of a job as text */
#define SOCKET ".sock"      /* ends the names of sockets */
#define EARLY SOCKET "~"    /* the same where nobody listens yet */

struct Control {
    struct MHD_Daemon *daemon;
    char *path;
    ControlRun run;
    gpointer user;
};

/* --- sockets --- */

static char *socket_path(const char *data)
{
    return g_build_filename(data, "control.sock", NULL);
}

/* *folder is to be open for as long as the address is used: sockets.h. */
static gboolean socket_address(const char *path, int *folder, struct sockaddr_un *address, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path), *name = g_path_get_basename(path);
    g_autofree char *reached = sockets_folder(parent, folder, error);
    g_autofree char *there = reached == NULL ? NULL : g_build_filename(reached, name, NULL);
    return there != NULL && sockets_address(there, address, error);
}

/* Whether it was left by a server that was killed. */
static gboolean socket_is_dead(const char *path)
{
    struct sockaddr_un address;
    g_auto(IngotFd) folder = -1;
    g_auto(IngotFd) fd =
        socket_address(path, &folder, &address, NULL) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 && errno == ECONNREFUSED;
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All whose name ends so, of servers that live and that were killed; free with g_strfreev. */
static char **socket_list(const char *data, const char *suffix)
{
    GPtrArray *list = g_ptr_array_new();
    g_autoptr(GDir) dir = g_dir_open(data, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        if (g_str_has_prefix(name, "control") && g_str_has_suffix(name, suffix)) {
            g_ptr_array_add(list, g_build_filename(data, name, NULL));
        }
    }
    g_ptr_array_sort(list, compare_paths);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

static void socket_tidy(const char *data, const char *suffix)
{
    g_auto(GStrv) list = socket_list(data, suffix);
    for (guint i = 0; list[i] != NULL; i++) {
        if (socket_is_dead(list[i])) {
            unlink(list[i]);
        }
    }
}

/* --- the server's side --- */

static void add_line(const char *line, gpointer user)
{
    json_array_append_new(user, ingot_json_text(line));
}

/* The thread that runs the job is the connection's own, so nothing else looks at its socket meanwhile. */
static gboolean client_is_gone(gpointer connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd socket = {.fd = info == NULL ? -1 : info->connect_fd, .events = POLLRDHUP};
    return poll(&socket, 1, 0) > 0 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* {outcome, lines}, or {error, code}. */
static json_t *work(const Control *control, struct MHD_Connection *connection, const GByteArray *body)
{
    g_autoptr(GError) error = NULL;
    g_auto(Job) job = {.gone = client_is_gone, .client = connection};
    g_autoptr(json_t) lines = json_array();
    g_autoptr(json_t) request = ingot_json_parse(body->data, body->len, "job", &error);
    g_autoptr(json_t) outcome = request == NULL || !job_from_json(request, &job, &error)
                                    ? NULL
                                    : control->run(&job, add_line, lines, control->user, &error);
    return outcome != NULL
               ? json_pack("{s:O, s:O}", "outcome", outcome, "lines", lines)
               : ingot_json_pack("{s:o, s:i}", "error", ingot_json_text(error->message), "code", error->code);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    (void)path, (void)method, (void)version;
    if (*state == NULL) {
        *state = g_byte_array_new();
        return MHD_YES;
    }
    GByteArray *body = *state;
    if (*size > 0) {
        g_byte_array_append(body, (const guint8 *)data, (guint)MIN(*size, JOB_MAX - MIN(body->len, JOB_MAX)));
        *size = 0;
        return MHD_YES;
    }
    g_autoptr(json_t) answer = work(user, connection, body);
    g_autofree char *text = ingot_json_canonical(answer);
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    (void)user, (void)connection, (void)code;
    g_clear_pointer((GByteArray **)state, g_byte_array_unref);
}

/* The usual name, or one of its own where another server that shares the folder has that. A socket has it only once
 * somebody listens: before, it would look like a killed server's. */
static char *socket_name(const char *data, const char *early, GError **error)
{
    g_autofree char *usual = socket_path(data), *own = g_strndup(early, strlen(early) - 1);
    const char *path = link(early, usual) == 0 ? usual : errno == EEXIST && link(early, own) == 0 ? own : NULL;
    if (path == NULL) {
        ingot_error_set_errno(error, errno, "%s", own);
    }
    unlink(early);
    return g_strdup(path);
}

/* *path receives where it listens. */
static int listen_in(const char *data, char **path, GError **error)
{
    struct sockaddr_un address;
    g_auto(IngotFd) folder = -1;
    g_autofree char *early = g_strdup_printf("%s/control-%08x" EARLY, data, g_random_int());
    if (!socket_address(early, &folder, &address, error)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    gboolean ok = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0;
    umask(mask);
    if (!ok) {
        ingot_error_set_errno(error, errno, "%s", early);
    }
    *path = ok ? socket_name(data, early, error) : NULL;
    if (*path == NULL) {
        close(fd);
        return -1;
    }
    return fd;
}

/* One server at a time: what one finds dead may be another's by the time it goes. */
static int listen_alone(const char *data, char **path, GError **error)
{
    g_autofree char *file = g_build_filename(data, ".control", NULL);
    g_autoptr(IngotLock) lock = ingot_lock_take(file, TRUE, TRUE, error);
    if (lock == NULL) {
        return -1;
    }
    socket_tidy(data, SOCKET);
    socket_tidy(data, EARLY);
    return listen_in(data, path, error);
}

Control *control_start(const char *data, ControlRun run, gpointer user, GError **error)
{
    g_autofree char *path = NULL;
    int fd = listen_alone(data, &path, error);
    if (fd < 0) {
        return NULL;
    }
    Control *control = g_new0(Control, 1);
    control->path = g_steal_pointer(&path);
    control->run = run;
    control->user = user;
    /* By poll: select() knows no descriptor beyond 1,024, and the packs that are read may take as many. */
    control->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL,
                                       0, NULL, NULL, on_request, control, MHD_OPTION_LISTEN_SOCKET, fd,
                                       MHD_OPTION_NOTIFY_COMPLETED, on_end, control, MHD_OPTION_END);
    if (control->daemon == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: the server behind it does not start", control->path);
        close(fd);
        control_stop(control);
        return NULL;
    }
    return control;
}

void control_stop(Control *control)
{
    if (control != NULL) {
        unlink(control->path); /* while it lives: one that is dead may be another's the next moment */
        if (control->daemon != NULL) {
            MHD_stop_daemon(control->daemon);
        }
        g_free(control->path);
        g_free(control);
    }
}

/* --- the verbs' side --- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    g_byte_array_append(user, (const guint8 *)data, (guint)(size * count));
    return size * count;
}

/* A verb that is to end does not wait for the outcome: the server stops the job once the connection has ended. */
static int on_progress(void *user, curl_off_t all, curl_off_t done, curl_off_t up_all, curl_off_t up_done)
{
    (void)user, (void)all, (void)done, (void)up_all, (void)up_done;
    return ingot_interrupt_check(NULL) ? 0 : 1;
}

static CURLcode post(const char *path, const char *text, GByteArray *answer)
{
    struct sockaddr_un address;
    g_auto(IngotFd) folder = -1;
    if (!socket_address(path, &folder, &address, NULL)) {
        return CURLE_COULDNT_CONNECT;
    }
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, address.sun_path);
    curl_easy_setopt(curl, CURLOPT_URL, "http://ingotd/job");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    return code;
}

static json_t *read_answer(const GByteArray *answer, JobTell tell, gpointer user, GError **error)
{
    g_autoptr(json_t) root = ingot_json_parse(answer->data, answer->len, "the server's answer", error);
    if (root == NULL) {
        return NULL;
    }
    const char *problem = json_string_value(json_object_get(root, "error"));
    if (problem != NULL) {
        g_set_error(error, INGOT_ERROR, (int)json_integer_value(json_object_get(root, "code")), "%s", problem);
        return NULL;
    }
    const json_t *lines = json_object_get(root, "lines");
    for (size_t i = 0; i < json_array_size(lines); i++) {
        tell(json_string_value(json_array_get(lines, i)), user);
    }
    return json_incref(ingot_json_get_object(root, "outcome", "the server's answer", error));
}

/* The first server of the folder that lives. */
static CURLcode post_to_any(const char *data, const char *text, GByteArray *answer)
{
    g_auto(GStrv) list = socket_list(data, SOCKET);
    CURLcode code = CURLE_COULDNT_CONNECT;
    for (guint i = 0; list[i] != NULL && code == CURLE_COULDNT_CONNECT; i++) {
        code = post(list[i], text, answer);
    }
    return code;
}

json_t *control_ask(const char *data, const Job *job, JobTell tell, gpointer user, gboolean *served, GError **error)
{
    g_autofree char *path = socket_path(data);
    g_autoptr(json_t) object = job_to_json(job);
    g_autofree char *text = ingot_json_canonical(object);
    g_autoptr(GByteArray) answer = g_byte_array_new();
    CURLcode code = post_to_any(data, text, answer);
    *served = code != CURLE_COULDNT_CONNECT;
    if (code != CURLE_OK) {
        if (ingot_interrupt_check(error)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: %s", path, curl_easy_strerror(code));
        }
        return NULL;
    }
    return read_answer(answer, tell, user, error);
}
