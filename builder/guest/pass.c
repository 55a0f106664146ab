#include "guest/pass.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_SECONDS (7u * 86400) /* nobody waits longer */
#define LINE_MOST 64               /* bytes that a line of od may have */

/* dd gives what is there, so that output is seen as it comes; the lock keeps the two streams' lines apart. Only the
 * command's own status counts. */
static const char head[] =
    "set +e\n"
    "pass() {\n"
    "    while part=$(dd bs=65536 count=1 2>/dev/null | od -An -v -tx1) && [ -n \"$part\" ]; do\n"
    "        until mkdir \"$0.lock\" 2>/dev/null; do sleep 0.05; done\n"
    "        printf '%s\\n%s\\n' \"$1\" \"$part\"\n"
    "        rmdir \"$0.lock\"\n"
    "    done\n"
    "}\n"
    "exec 4>&1\n"
    "{ { ( ";
static const char tail[] = " ) 3>&- 4>&-; echo $? >\"$0.status\"; } 2>&3 | pass o 3>&- >&4; } 3>&1 | pass e >&4\n"
                           "read -r status <\"$0.status\" || status=255\n"
                           "rm -f \"$0.status\"\n"
                           "exit \"$status\"\n";

typedef struct {
    int out, err, now; /* descriptors; now: of the lines that come */
    GError *problem;   /* of writing: who reads may have gone */
} Pass;

static void pass_write(Pass *pass, const guint8 *bytes, gsize size)
{
    while (size > 0 && pass->problem == NULL) {
        gssize written = write(pass->now, bytes, size);
        if (written < 0 && errno != EINTR) {
            ingot_error_set_errno(&pass->problem, errno, "passing on what the command prints");
        }
        bytes += MAX(written, 0);
        size -= (gsize)MAX(written, 0);
    }
}

/* A GuestLineFunc. */
static void pass_line(const char *line, gpointer user)
{
    Pass *pass = user;
    guint8 bytes[LINE_MOST];
    gsize size = 0;
    if (strcmp(line, "o") == 0 || strcmp(line, "e") == 0) {
        pass->now = *line == 'o' ? pass->out : pass->err;
        return;
    }
    for (; line[0] == ' ' && g_ascii_isxdigit(line[1]) && g_ascii_isxdigit(line[2]) && size < LINE_MOST; line += 3) {
        bytes[size++] = (guint8)(g_ascii_xdigit_value(line[1]) << 4 | g_ascii_xdigit_value(line[2]));
    }
    pass_write(pass, bytes, size);
}

gboolean pass_run(Guest *guest, const char *const *words, int out, int err, int *status, GError **error)
{
    g_autoptr(GString) script = g_string_new(head);
    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *quoted = g_shell_quote(words[i]);
        g_string_append_printf(script, "%s%s", i == 0 ? "" : " ", quoted);
    }
    g_string_append(script, tail);
    Pass pass = {.out = out, .err = err, .now = out};
    const GuestCommand command = {.script = script->str,
                                  .seconds = LIMIT_SECONDS,
                                  .line = pass_line,
                                  .user_data = &pass,
                                  .refused = &pass.problem};
    gboolean ok = guest_run(guest, &command, status, error);
    if (ok && pass.problem != NULL) { /* at the last line */
        g_propagate_error(error, g_steal_pointer(&pass.problem));
        return FALSE;
    }
    g_clear_error(&pass.problem);
    return ok;
}
