/* Logging in by ssh as root or as a user with sudo, and channels over that connection. */
#include "guest/ssh.h"

#include <arpa/inet.h>
#include <ingot/error.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/process.h"

#define BANNER_MS 2000
#define ANSWER_SECONDS 60l /* of libssh's own waiting */
#define SUDO_SECONDS 60u
#define READ_MS 200 /* how often the user is asked while a command prints nothing */
#define STATUS_USEC 20000u
#define OUTPUT_MAX 2000u /* bytes of a short script's output that an error shows */
#define PIECE (1u << 20) /* bytes given to libssh at once */

struct SshLogin {
    ssh_session session;
    char *user;
    char *password; /* for sudo; NULL: sudo asks for none */
    gboolean sudo;
};

typedef struct {
    GuestChannel channel;
    SshLogin *login;
    ssh_channel shell;
} SshChannel;

static gboolean ssh_failed(ssh_session session, const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", what, ssh_get_error(session));
    return FALSE;
}

/* The forwarded port takes connections before anybody in the guest does: only the server's banner shows that it is
 * there. */
gboolean ssh_server_answers(guint16 port)
{
    g_auto(IngotFd) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return FALSE;
    }
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char banner[4];
    return poll(&wait, 1, BANNER_MS) == 1 && recv(fd, banner, sizeof banner, 0) == sizeof banner &&
           memcmp(banner, "SSH-", sizeof banner) == 0;
}

/* --- login --- */

void ssh_login_free(SshLogin *login)
{
    if (login != NULL) {
        if (login->session != NULL) {
            ssh_disconnect(login->session);
            ssh_free(login->session);
        }
        g_free(login->user);
        g_free(login->password);
        g_free(login);
    }
}

static gboolean login_by_key(SshLogin *login, const char *path, GError **error)
{
    ssh_key private_key = NULL;
    if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &private_key) != SSH_OK) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: not a private key that can be read without a passphrase", path);
        return FALSE;
    }
    gboolean ok = ssh_userauth_publickey(login->session, NULL, private_key) == SSH_AUTH_SUCCESS;
    ssh_key_free(private_key);
    return ok;
}

/* Servers ask for a password in one of two ways. */
static gboolean login_by_password(SshLogin *login, const char *password)
{
    if (ssh_userauth_password(login->session, NULL, password) == SSH_AUTH_SUCCESS) {
        return TRUE;
    }
    int answer;
    for (guint rounds = 0; (answer = ssh_userauth_kbdint(login->session, NULL, NULL)) == SSH_AUTH_INFO && rounds < 4;
         rounds++) {
        int prompts = ssh_userauth_kbdint_getnprompts(login->session);
        for (int i = 0; i < prompts; i++) {
            ssh_userauth_kbdint_setanswer(login->session, (guint)i, password);
        }
    }
    return answer == SSH_AUTH_SUCCESS;
}

static gboolean login_authenticate(SshLogin *login, const GuestEntry *entry, GError **error)
{
    const char *key = entry->key_path != NULL                     ? entry->key_path
                      : entry->user == NULL && entry->key != NULL ? entry->key->private_path
                                                                  : NULL;
    GError *problem = NULL;
    if ((key != NULL && login_by_key(login, key, &problem)) ||
        (problem == NULL && entry->password != NULL && login_by_password(login, entry->password))) {
        return TRUE;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_autofree char *what = g_strdup_printf("ssh login as %s", login->user);
    return ssh_failed(login->session, what, error);
}

/* Whether what a command does may still be waited for. */
static gboolean command_may_wait(gint64 until, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (g_get_monotonic_time() > until) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "a command of the ssh login does not end");
        return FALSE;
    }
    return TRUE;
}

/* What the command prints, of either stream, to its end; at most OUTPUT_MAX bytes are kept. */
static gboolean command_read(ssh_channel channel, gint64 until, GString *text, GError **error)
{
    gboolean quiet = FALSE;
    while (!ssh_channel_is_eof(channel)) {
        if (!command_may_wait(until, error)) {
            return FALSE;
        }
        int wait = quiet ? READ_MS : 0;
        quiet = TRUE;
        for (int stream = 0; stream < 2; stream++) {
            char buffer[4096];
            int got = ssh_channel_read_timeout(channel, buffer, sizeof buffer, stream, stream == 0 ? wait : 0);
            if (got == SSH_ERROR) {
                return TRUE; /* the channel is closed: the status tells the rest */
            }
            quiet = quiet && got <= 0;
            g_string_append_len(text, buffer, MIN(MAX(got, 0), (int)(OUTPUT_MAX - text->len)));
        }
    }
    return TRUE;
}

/* A command may close its output and go on; and one that a signal ends has no status (-1). */
static gboolean command_status(ssh_session session, ssh_channel channel, gint64 until, int *status, GError **error)
{
    gboolean ok = TRUE;
    ssh_set_blocking(session, 0);
    while ((*status = ssh_channel_get_exit_status(channel)) < 0 && !ssh_channel_is_closed(channel) &&
           (ok = command_may_wait(until, error))) {
        g_usleep(STATUS_USEC);
    }
    ssh_set_blocking(session, 1);
    return ok;
}

/* Runs a command with the input and reads what it prints, to its end or the time. */
static gboolean login_command(SshLogin *login, const char *command, const char *input, guint seconds, int *status,
                              char **output, GError **error)
{
    gint64 until = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    ssh_channel channel = ssh_channel_new(login->session);
    if (channel == NULL || ssh_channel_open_session(channel) != SSH_OK ||
        ssh_channel_request_exec(channel, command) != SSH_OK) {
        ssh_channel_free(channel);
        return ssh_failed(login->session, "a shell in the machine", error);
    }
    if (*input != '\0') {
        ssh_channel_write(channel, input, (guint32)strlen(input));
    }
    ssh_channel_send_eof(channel);
    g_autoptr(GString) text = g_string_new(NULL);
    gboolean ok =
        command_read(channel, until, text, error) && command_status(login->session, channel, until, status, error);
    ssh_channel_free(channel);
    *output = g_utf8_make_valid(text->str, (gssize)text->len);
    g_strchomp(*output);
    return ok;
}

/* Whether sudo works at all, and whether it wants the password. */
static gboolean login_try_sudo(SshLogin *login, const GuestEntry *entry, GError **error)
{
    int status = 0;
    g_autofree char *words = NULL, *more = NULL;
    if (!login_command(login, "sudo -n true", "", SUDO_SECONDS, &status, &words, error)) {
        return FALSE;
    }
    if (status == 0) {
        return TRUE;
    }
    if (entry->password == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "sudo as %s: %s (no password is given for it)", login->user,
                    words);
        return FALSE;
    }
    g_autofree char *line = g_strconcat(entry->password, "\n", NULL);
    if (!login_command(login, "sudo -k -S -p '' true", line, SUDO_SECONDS, &status, &more, error)) {
        return FALSE;
    }
    if (status != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "sudo as %s: %s", login->user, more);
        return FALSE;
    }
    login->password = g_strdup(entry->password);
    return TRUE;
}

SshLogin *ssh_log_in(guint16 forwarded, const GuestEntry *entry, GError **error)
{
    g_autoptr(SshLogin) login = g_new0(SshLogin, 1);
    guint port = forwarded;
    long seconds = ANSWER_SECONDS;
    int yes = 1, no = 0;
    login->session = ssh_new();
    login->user = g_strdup(entry->user == NULL ? "root" : entry->user);
    login->sudo = entry->sudo;
    ssh_options_set(login->session, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(login->session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(login->session, SSH_OPTIONS_USER, login->user);
    ssh_options_set(login->session, SSH_OPTIONS_TIMEOUT, &seconds);
    ssh_options_set(login->session, SSH_OPTIONS_NODELAY, &yes);
    /* Nothing of the user's own ssh configuration may play a part. */
    ssh_options_set(login->session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    if (ssh_connect(login->session) != SSH_OK) {
        ssh_failed(login->session, "ssh to the machine", error);
        return NULL;
    }
    return login_authenticate(login, entry, error) && (!login->sudo || login_try_sudo(login, entry, error))
               ? g_steal_pointer(&login)
               : NULL;
}

/* The command that runs the script as root, whatever the login's shell is. Free it. */
static char *login_root_command(const SshLogin *login, const char *script)
{
    g_autofree char *quoted = g_shell_quote(script);
    const char *how = !login->sudo ? "exec" : login->password == NULL ? "exec sudo -n" : "exec sudo -k -S -p ''";
    return g_strdup_printf("%s /bin/sh -c %s", how, quoted);
}

/* What sudo reads before the script does. Free it. */
static char *login_root_input(const SshLogin *login)
{
    return login->password == NULL ? g_strdup("") : g_strconcat(login->password, "\n", NULL);
}

gboolean ssh_run(SshLogin *login, const char *script, guint seconds, int *status, GError **error)
{
    g_autofree char *command = login_root_command(login, script);
    g_autofree char *input = login_root_input(login);
    g_autofree char *words = NULL;
    return login_command(login, command, input, seconds, status, &words, error);
}

/* --- channel --- */

static gboolean ssh_send(GuestChannel *channel, const void *data, gsize size, int milliseconds, gsize *sent,
                         GError **error)
{
    SshChannel *own = (SshChannel *)channel;
    ssh_session session = own->login->session;
    ssh_set_blocking(session, 0);
    int count = ssh_channel_write(own->shell, data, (guint32)MIN(size, PIECE));
    if (count == 0) {
        gboolean pending = (ssh_get_poll_flags(session) & SSH_WRITE_PENDING) != 0;
        struct pollfd wait = {.fd = ssh_get_fd(session), .events = (short)(pending ? POLLIN | POLLOUT : POLLIN)};
        poll(&wait, 1, milliseconds);
        /* Lets libssh take what has come and send what waits. */
        count = ssh_channel_poll(own->shell, 0) < 0 ? SSH_ERROR : 0;
    }
    ssh_set_blocking(session, 1);
    *sent = count > 0 ? (gsize)count : 0;
    return count >= 0 || ssh_failed(session, "sending to the machine", error);
}

static gboolean ssh_receive(GuestChannel *channel, void *buffer, gsize size, int milliseconds, gsize *count,
                            GError **error)
{
    SshChannel *own = (SshChannel *)channel;
    int got = ssh_channel_read_timeout(own->shell, buffer, (guint32)size, 0, milliseconds);
    *count = got > 0 ? (gsize)got : 0;
    if (got < 0 || (got == 0 && ssh_channel_is_eof(own->shell))) {
        return ssh_failed(own->login->session, "the session in the machine has ended", error);
    }
    return TRUE;
}

static void ssh_close(GuestChannel *channel)
{
    SshChannel *own = (SshChannel *)channel;
    ssh_channel_free(own->shell);
    ssh_login_free(own->login);
    g_free(own);
}

static const GuestChannelKind ssh_kind = {
    .survives = FALSE, .send = ssh_send, .receive = ssh_receive, .close = ssh_close};

GuestChannel *guest_channel_new_ssh(SshLogin *login, const char *script, GError **error)
{
    g_autoptr(SshLogin) owned = login;
    g_autofree char *command = login_root_command(login, script);
    g_autofree char *input = login_root_input(login);
    ssh_channel shell = ssh_channel_new(login->session);
    if (shell == NULL || ssh_channel_open_session(shell) != SSH_OK ||
        ssh_channel_request_exec(shell, command) != SSH_OK ||
        (*input != '\0' && ssh_channel_write(shell, input, (guint32)strlen(input)) < 0)) {
        ssh_failed(login->session, "a shell in the machine", error);
        ssh_channel_free(shell);
        return NULL;
    }
    SshChannel *own = g_new0(SshChannel, 1);
    own->channel.kind = &ssh_kind;
    own->login = g_steal_pointer(&owned);
    own->shell = shell;
    return &own->channel;
}
