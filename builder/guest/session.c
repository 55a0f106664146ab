#include "guest/session.h"

#include <ingot/error.h>
#include <string.h>

#include "base/process.h"

#define WAIT_MS 500           /* how often machine and user are asked while the guest does nothing */
#define CHUNK 65536u          /* bytes read at once */
#define UNREAD_MAX (4u << 20) /* bytes that a guest may print while it is being sent something */
#define STATUS_MAX 32u        /* bytes */

/* --- state --- */

gint64 session_until(guint64 seconds)
{
    return g_get_monotonic_time() + (gint64)MIN(seconds, G_MAXINT64 / 2 / G_USEC_PER_SEC) * G_USEC_PER_SEC;
}

SessionWord session_word(void)
{
    SessionWord word;
    g_snprintf(word.first, sizeof word.first, "%08x%08x", g_random_int(), g_random_int());
    g_snprintf(word.second, sizeof word.second, "%08x%08x", g_random_int(), g_random_int());
    g_snprintf(word.joined, sizeof word.joined, "%s%s", word.first, word.second);
    return word;
}

gboolean session_usable(const Guest *guest, GError **error)
{
    if (guest->lost != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the session in the machine is out of step since: %s",
                    guest->lost);
    }
    return guest->lost == NULL;
}

gboolean session_lose(Guest *guest, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *reason = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *tail = guest->machine == NULL ? g_strdup("") : machine_console_tail(guest->machine, 12);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s%s%s", reason,
                *tail == '\0' ? "" : "; the console's last lines:\n", tail);
    if (guest->lost == NULL) {
        guest->lost = g_steal_pointer(&reason);
    }
    return FALSE;
}

/* Marks the session as lost by an error that is already set; always FALSE. */
static gboolean session_broken(Guest *guest, const GError *problem)
{
    if (guest->lost == NULL) {
        guest->lost = g_strdup(problem->message);
    }
    return FALSE;
}

/* The reason of the machine goes before that of the channel: it is what the channel's end comes from. */
static gboolean session_alive(Guest *guest, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    return guest->alive == NULL || guest->alive(guest->alive_user, error);
}

static gboolean session_failed(Guest *guest, GError *problem, GError **error)
{
    GError *cause = NULL;
    if (!session_alive(guest, &cause)) {
        g_clear_error(&problem);
        problem = cause;
    }
    session_broken(guest, problem);
    g_propagate_error(error, problem);
    return FALSE;
}

/* --- bytes --- */

/* What has come within the time, behind the input. */
static gboolean session_read(Guest *guest, int milliseconds, gsize *count, GError **error)
{
    char buffer[CHUNK];
    GError *problem = NULL;
    if (!guest->channel->kind->receive(guest->channel, buffer, sizeof buffer, milliseconds, count, &problem)) {
        return session_failed(guest, problem, error);
    }
    g_string_append_len(guest->input, buffer, (gssize)*count);
    return TRUE;
}

/* Sends some. A guest that first wants to be rid of its output would wait for us as we do for it. */
static gboolean session_send_some(Guest *guest, const char *data, gsize size, gsize *sent, GError **error)
{
    GError *problem = NULL;
    if (!guest->channel->kind->send(guest->channel, data, size, WAIT_MS, sent, &problem)) {
        return session_failed(guest, problem, error);
    }
    gsize count = 0;
    if (*sent == 0 && !session_read(guest, 0, &count, error)) {
        return FALSE;
    }
    if (guest->input->len > UNREAD_MAX) {
        return session_lose(guest, error, "something in the machine floods the session");
    }
    return TRUE;
}

gboolean session_send(Guest *guest, const void *data, gsize size, GError **error)
{
    gint64 until = session_until(guest->stall_seconds);
    for (gsize done = 0; done < size;) {
        gsize sent = 0;
        if (!session_send_some(guest, (const char *)data + done, size - done, &sent, error)) {
            return FALSE;
        }
        done += sent;
        GError *problem = NULL;
        if (!(sent > 0 ? ingot_interrupt_check(&problem) : session_alive(guest, &problem))) {
            return session_failed(guest, problem, error);
        }
        if (sent > 0) {
            until = session_until(guest->stall_seconds);
        } else if (g_get_monotonic_time() > until) {
            return session_lose(guest, error, "the machine has taken nothing for %u s", guest->stall_seconds);
        }
    }
    return TRUE;
}

/* Waits for more input. */
static gboolean session_receive(Guest *guest, gint64 until, GError **error)
{
    gsize count = 0;
    gint64 end = until == SESSION_STALL ? session_until(guest->stall_seconds) : until;
    for (;;) {
        GError *problem = NULL;
        if (!ingot_interrupt_check(&problem)) {
            return session_failed(guest, problem, error);
        }
        if (g_get_monotonic_time() > end) {
            return until == SESSION_STALL
                       ? session_lose(guest, error, "the machine has given nothing for %u s", guest->stall_seconds)
                       : session_lose(guest, error, "no answer from the machine in time");
        }
        if (!session_read(guest, WAIT_MS, &count, error)) {
            return FALSE;
        }
        if (count > 0) {
            return TRUE;
        }
        if (!session_alive(guest, &problem)) {
            return session_failed(guest, problem, error);
        }
    }
}

/* --- framing --- */

/* Gives `size` bytes of the input to the sink (NULL: drops them) and removes them. */
static gboolean session_give(Guest *guest, gsize size, SessionSink sink, gpointer user, GError **error)
{
    GError *problem = NULL;
    if (size > 0 && sink != NULL && !sink(guest->input->str, size, user, &problem)) {
        session_broken(guest, problem);
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_string_erase(guest->input, 0, (gssize)size);
    return TRUE;
}

/* Gives all input before the mark to the sink and removes the mark. */
static gboolean session_until_mark(Guest *guest, const char *mark, gint64 until, SessionSink sink, gpointer user,
                                   GError **error)
{
    gsize length = strlen(mark);
    for (;;) {
        const char *found = memmem(guest->input->str, guest->input->len, mark, length);
        if (found != NULL) {
            return session_give(guest, (gsize)(found - guest->input->str), sink, user, error) &&
                   session_give(guest, length, NULL, NULL, error);
        }
        /* The mark may have come in part. */
        gsize sure = guest->input->len < length ? 0 : guest->input->len - length + 1;
        if (!session_give(guest, sure, sink, user, error) || !session_receive(guest, until, error)) {
            return FALSE;
        }
    }
}

gboolean session_take(Guest *guest, const SessionWord *word, gint64 until, SessionSink sink, gpointer user,
                      char **status, GError **error)
{
    g_autofree char *begin = g_strdup_printf("\n%s\n", word->joined);
    g_autofree char *end = g_strdup_printf("\n%s ", word->joined);
    if (!session_until_mark(guest, begin, until, NULL, NULL, error) ||
        !session_until_mark(guest, end, until, sink, user, error)) {
        return FALSE;
    }
    const char *newline;
    while ((newline = memchr(guest->input->str, '\n', guest->input->len)) == NULL) {
        if (guest->input->len > STATUS_MAX) {
            return session_lose(guest, error, "the machine's answer makes no sense");
        }
        if (!session_receive(guest, until, error)) {
            return FALSE;
        }
    }
    *status = g_strndup(guest->input->str, (gsize)(newline - guest->input->str));
    g_string_erase(guest->input, 0, newline - guest->input->str + 1);
    return TRUE;
}
