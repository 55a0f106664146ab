/* A guest's doors: each goes to the guest's system. And how a guest is made on a channel. */
#include <ingot/error.h>
#include <string.h>

#include "guest/connect.h"
#include "guest/session.h"

#define SCRIPT_SECONDS 60u
#define ANSWER_SECONDS 10u /* for a shell that is there to say so */

static gboolean guest_machine_alive(gpointer user, GError **error)
{
    return machine_alive(user, error);
}

Guest *guest_new(GuestChannel *channel, Machine *machine)
{
    Guest *guest = g_new0(Guest, 1);
    guest->channel = channel;
    guest->machine = machine;
    guest->system = &guest_linux;
    guest->alive = machine == NULL ? NULL : guest_machine_alive;
    guest->alive_user = machine;
    guest->place = g_strdup(GUEST_PLACE);
    guest->stall_seconds = GUEST_STALL_SECONDS;
    guest->input = g_string_new(NULL);
    return guest;
}

gboolean guest_prepare(Guest *guest, GError **error)
{
    g_autofree char *text = guest->system->prepare(guest);
    return session_send(guest, text, strlen(text), error);
}

gboolean guest_answers(Guest *guest, GError **error)
{
    guint seconds = MIN(ANSWER_SECONDS, guest->stall_seconds);
    return guest_prepare(guest, error) && guest->system->script(guest, ":", seconds, NULL, error);
}

Guest *guest_new_on_stream(const GuestStream *stream, GError **error)
{
    g_autoptr(Guest) guest = guest_new(guest_channel_new_socket(stream->fd), NULL);
    if (stream->place != NULL) {
        g_free(guest->place);
        guest->place = g_strdup(stream->place);
    }
    if (stream->stall_seconds != 0) {
        guest->stall_seconds = stream->stall_seconds;
    }
    guest->alive = stream->alive;
    guest->alive_user = stream->user_data;
    return guest_answers(guest, error) ? g_steal_pointer(&guest) : NULL;
}

gboolean guest_survives(const Guest *guest)
{
    return guest->channel->kind->survives && guest->lost == NULL;
}

gboolean guest_saw_password(const Guest *guest)
{
    return guest->saw_password;
}

void guest_free(Guest *guest)
{
    if (guest != NULL) {
        guest_channel_close(guest->channel);
        g_string_free(guest->input, TRUE);
        g_free(guest->place);
        g_free(guest->lost);
        g_free(guest);
    }
}

gboolean guest_run(Guest *guest, const GuestCommand *command, int *status, GError **error)
{
    return session_usable(guest, error) && guest->system->run(guest, command, status, error);
}

gboolean guest_script(Guest *guest, const char *script, char **output, GError **error)
{
    return session_usable(guest, error) && guest->system->script(guest, script, SCRIPT_SECONDS, output, error);
}

gboolean guest_put(Guest *guest, const char *script, int fd, guint64 size, const char *name, GError **error)
{
    return session_usable(guest, error) && guest->system->put(guest, script, fd, size, name, error);
}

gboolean guest_download(Guest *guest, const char *from, const char *to, GPtrArray *written, GuestLineFunc line,
                        gpointer user, GError **error)
{
    return session_usable(guest, error) && guest->system->get(guest, from, to, written, line, user, error);
}

gboolean guest_settle(Guest *guest, GuestSettle how, gboolean *settled, GError **error)
{
    return session_usable(guest, error) && guest->system->settle(guest, how, settled, error);
}

gboolean guest_adopt(Guest *guest, const GuestKey *key, guint64 away, gboolean *stopping, GError **error)
{
    return session_usable(guest, error) && guest->system->adopt(guest, key, away, stopping, error);
}
