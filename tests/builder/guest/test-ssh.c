/* A login by ssh to servers that behave and that do not: one that prints for ever, one that never ends a command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ingot/error.h>
#include <libssh/server.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "guest/ssh.h"

typedef enum { RUNS, PRINTS, PRINTS_ERRORS, ENDS_OUTPUT, SAYS_NOTHING } Manner;

/* --- a server that lets everybody in --- */

static void server_run(ssh_channel channel, const char *command)
{
    char *words[] = {"sh", "-c", (char *)command, NULL};
    g_autofree char *output = NULL, *errors = NULL;
    int status = 0;
    g_assert_true(g_spawn_sync(NULL, words, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &errors, &status, NULL));
    ssh_channel_write(channel, output, (guint32)strlen(output));
    ssh_channel_write_stderr(channel, errors, (guint32)strlen(errors));
    ssh_channel_request_send_exit_status(channel, WEXITSTATUS(status));
    ssh_channel_send_eof(channel);
    ssh_channel_close(channel);
}

static void server_command(ssh_channel channel, const char *command, Manner manner)
{
    static const char flood[1000];
    if (manner == RUNS) {
        server_run(channel, command);
    } else if (manner == PRINTS) {
        while (ssh_channel_write(channel, flood, sizeof flood) > 0) {
        }
    } else if (manner == PRINTS_ERRORS) {
        while (ssh_channel_write_stderr(channel, flood, sizeof flood) > 0) {
        }
    } else if (manner == ENDS_OUTPUT) {
        ssh_channel_send_eof(channel);
    }
}

/* Until the client leaves. */
static void server_serve(ssh_session session, Manner manner)
{
    ssh_message message;
    ssh_channel channel = NULL;
    while ((message = ssh_message_get(session)) != NULL) {
        int type = ssh_message_type(message), subtype = ssh_message_subtype(message);
        if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_PASSWORD) {
            ssh_message_auth_reply_success(message, 0);
        } else if (type == SSH_REQUEST_CHANNEL_OPEN) {
            channel = ssh_message_channel_request_open_reply_accept(message);
        } else if (type == SSH_REQUEST_CHANNEL && subtype == SSH_CHANNEL_REQUEST_EXEC && channel != NULL) {
            g_autofree char *command = g_strdup(ssh_message_channel_request_command(message));
            ssh_message_channel_request_reply_success(message);
            server_command(channel, command, manner);
        } else {
            ssh_message_reply_default(message);
        }
        ssh_message_free(message);
    }
}

typedef struct {
    IngotWorkdir *workdir;
    guint16 port;
    pid_t process;
} Server;

static void server_process(int listener, const char *key, Manner manner)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ssh_bind bind_of = ssh_bind_new();
    ssh_session session = ssh_new();
    ssh_bind_options_set(bind_of, SSH_BIND_OPTIONS_HOSTKEY, key);
    int fd = accept(listener, NULL, NULL);
    if (ssh_bind_accept_fd(bind_of, session, fd) == SSH_OK && ssh_handle_key_exchange(session) == SSH_OK) {
        ssh_set_auth_methods(session, SSH_AUTH_METHOD_PASSWORD);
        server_serve(session, manner);
    }
    _exit(0);
}

static Server server_new(Manner manner)
{
    Server server = {.workdir = ingot_workdir_new(NULL)};
    g_autoptr(GuestKey) key = guest_key_new(ingot_workdir_path(server.workdir), NULL);
    g_auto(IngotFd) listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_non_null(key);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    server.process = fork();
    if (server.process == 0) {
        server_process(listener, key->private_path, manner);
    }
    assert_true(server.process > 0);
    return server;
}

static void server_clear(Server *server)
{
    kill(server->process, SIGKILL);
    waitpid(server->process, NULL, 0);
    ingot_workdir_free(server->workdir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Server, server_clear)

static SshLogin *log_in(const Server *server)
{
    GuestEntry entry = {.password = "any"};
    g_autoptr(GError) error = NULL;
    SshLogin *login = ssh_log_in(server->port, &entry, &error);
    if (error != NULL) {
        print_message("%s\n", error->message);
    }
    assert_non_null(login);
    return login;
}

/* --- tests --- */

static void a_script_has_its_status(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int status;
    } cases[] = {{"exit 0", 0},
                 {"exit 3", 3},
                 {"echo 'two  words'; echo errors >&2; exit 4", 4},
                 {"head -c 300000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero | tr '\\0' y >&2", 0}};
    g_auto(Server) server = server_new(RUNS);
    g_autoptr(SshLogin) login = log_in(&server);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        int status = -2;
        g_autoptr(GError) error = NULL;
        assert_true(ssh_run(login, cases[i].script, 30, &status, &error));
        assert_null(error);
        assert_int_equal(status, cases[i].status);
    }
}

static void a_command_that_does_not_end_is_an_error(void **state)
{
    (void)state;
    static const Manner manners[] = {PRINTS, PRINTS_ERRORS, ENDS_OUTPUT, SAYS_NOTHING};
    for (guint i = 0; i < G_N_ELEMENTS(manners); i++) {
        g_auto(Server) server = server_new(manners[i]);
        g_autoptr(SshLogin) login = log_in(&server);
        int status = -2;
        g_autoptr(GError) error = NULL;
        gint64 began = g_get_monotonic_time();
        assert_false(ssh_run(login, "any", 1, &status, &error));
        assert_non_null(error);
        assert_non_null(strstr(error->message, "does not end"));
        assert_true(g_get_monotonic_time() - began < 20 * G_USEC_PER_SEC);
    }
}

/* The last test: an interrupt stays. */
static void the_user_may_stop_waiting(void **state)
{
    (void)state;
    g_auto(Server) server = server_new(PRINTS);
    g_autoptr(SshLogin) login = log_in(&server);
    int status = -2;
    g_autoptr(GError) error = NULL;
    ingot_interrupt_raise("enough");
    assert_false(ssh_run(login, "any", 600, &status, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_has_its_status),
        cmocka_unit_test(a_command_that_does_not_end_is_an_error),
        cmocka_unit_test(the_user_may_stop_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
