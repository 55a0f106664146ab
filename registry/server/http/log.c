#include "server/http/log.h"

#include <ingot/text.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/http/logwriter.h"

#define ID_MAX 64
#define END_WAIT (2 * G_TIME_SPAN_SECOND)

static LogFormat format_now = LOG_AS_PLAIN;
static LogWriter *writer_now; /* NULL: lines are written at once */

void log_stop(void)
{
    if (writer_now != NULL && logwriter_end(writer_now, END_WAIT)) {
        writer_now = NULL;
    }
}

/* Messages of GLib, and of those who use its log. */
static void take_foreign(const char *domain, GLogLevelFlags level, const char *message, gpointer user)
{
    (void)user;
    const char *from = domain == NULL ? "" : domain, *sign = domain == NULL ? "" : ": ";
    if (level & G_LOG_FLAG_FATAL) { /* GLib ends the process behind it */
        log_stop();
    }
    if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)) {
        log_error("%s%s%s", from, sign, message);
    } else if (level & G_LOG_LEVEL_WARNING) {
        log_warning("%s%s%s", from, sign, message);
    } else if (level & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO)) {
        log_info("%s%s%s", from, sign, message);
    }
}

void log_open(LogFormat format)
{
    format_now = format;
    g_log_set_default_handler(take_foreign, NULL);
}

/* --- plain --- */

/* How many of its first characters are written as they are, and are ASCII: most often all of them. */
static gsize plain_length(const char *text)
{
    gsize length = 0;
    while (text[length] > ' ' && text[length] < 0x7f && text[length] != '\\') {
        length++;
    }
    return length;
}

/* Text as people read it; what does not print, and in a field what parts fields too, as \xHH or \uHHHH. */
static char *escape(const char *text, gboolean field)
{
    gsize plain = plain_length(text);
    GString *escaped = g_string_new_len(text, (gssize)plain);
    text += plain;
    while (*text != '\0') {
        gunichar c = g_utf8_get_char_validated(text, -1);
        if (c == (gunichar)-1 || c == (gunichar)-2) { /* no UTF-8: its bytes, one by one */
            g_string_append_printf(escaped, "\\x%02x", (guchar)*text++);
            continue;
        }
        if (c == '\\') {
            g_string_append(escaped, "\\\\");
        } else if (g_unichar_isprint(c) && !(field && g_unichar_isspace(c))) {
            g_string_append_unichar(escaped, c);
        } else {
            g_string_append_printf(escaped, c <= 0xff ? "\\x%02x" : "\\u%04x", c);
        }
        text = g_utf8_next_char(text);
    }
    return g_string_free(escaped, FALSE);
}

static char *plain_request(const char *time, const LogRequest *request)
{
    g_autofree char *user = escape(request->user, TRUE);
    g_autofree char *method = escape(request->method, TRUE);
    g_autofree char *path = escape(request->path, TRUE);
    return g_strdup_printf("%s %s %s %s %s status=%u received=%" G_GUINT64_FORMAT " bytes=%" G_GUINT64_FORMAT
                           " ms=%.1f id=%s",
                           time, request->client, user, method, path, request->status, request->received, request->sent,
                           request->ms, request->id);
}

static char *plain_message(const char *level, const char *message)
{
    g_autofree char *escaped = escape(message, FALSE);
    return strcmp(level, "warning") == 0 ? g_strdup_printf("ingotd: warning: %s", escaped)
                                         : g_strdup_printf("ingotd: %s", escaped);
}

/* --- JSON --- */

static void set_text(json_t *object, const char *key, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    json_object_set_new(object, key, json_string(valid));
}

static json_t *json_line(const char *time, const char *level, const char *message)
{
    json_t *line = json_object();
    set_text(line, "time", time);
    set_text(line, "level", level);
    set_text(line, "message", message);
    return line;
}

/* In ASCII: C1 controls and the line separators of Unicode are escaped too. */
static char *json_end(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
    json_decref(line);
    GString *escaped = g_string_new(text);
    free(text);
    g_string_replace(escaped, "\x7f", "\\u007f", 0);
    return g_string_free(escaped, FALSE);
}

static char *json_request(const char *time, const LogRequest *request)
{
    json_t *line = json_line(time, "info", "request");
    set_text(line, "id", request->id);
    set_text(line, "client", request->client);
    set_text(line, "user", request->user);
    set_text(line, "method", request->method);
    set_text(line, "path", request->path);
    json_object_set_new(line, "status", json_integer(request->status));
    json_object_set_new(line, "received", json_integer((json_int_t)request->received));
    json_object_set_new(line, "sent", json_integer((json_int_t)request->sent));
    json_object_set_new(line, "ms", json_real((double)(guint64)(request->ms * 10 + 0.5) / 10));
    return json_end(line);
}

/* --- both --- */

char *log_request_line(LogFormat format, const char *time, const LogRequest *request)
{
    return format == LOG_AS_JSON ? json_request(time, request) : plain_request(time, request);
}

char *log_message_line(LogFormat format, const char *time, const char *level, const char *message)
{
    return format == LOG_AS_JSON ? json_end(json_line(time, level, message)) : plain_message(level, message);
}

static void write_line(const char *line)
{
    if (writer_now != NULL) {
        logwriter_add(writer_now, line);
    } else {
        fprintf(stderr, "%s\n", line);
    }
}

static char *describe_dropped(guint64 lines)
{
    g_autofree char *now = ingot_text_now();
    g_autofree char *message =
        g_strdup_printf("%" G_GUINT64_FORMAT " lines of the log were dropped: whoever reads it did not keep up", lines);
    return log_message_line(format_now, now, "warning", message);
}

void log_start(void)
{
    writer_now = logwriter_new(STDERR_FILENO, describe_dropped);
}

void log_request(const LogRequest *request)
{
    g_autofree char *now = ingot_text_now();
    g_autofree char *line = log_request_line(format_now, now, request);
    write_line(line);
}

static G_GNUC_PRINTF(2, 0) void write_message(const char *level, const char *format, va_list arguments)
{
    g_autofree char *now = ingot_text_now();
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    g_autofree char *line = log_message_line(format_now, now, level, message);
    write_line(line);
}

#define LOG_FUNCTION(level)                                                                                            \
    void log_##level(const char *format, ...)                                                                          \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, format);                                                                                   \
        write_message(#level, format, arguments);                                                                      \
        va_end(arguments);                                                                                             \
    }
LOG_FUNCTION(info)
LOG_FUNCTION(warning)
LOG_FUNCTION(error)

char *log_id(const char *given)
{
    static const char sane[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    gsize length = given == NULL ? 0 : strnlen(given, ID_MAX + 1);
    if (length > 0 && length <= ID_MAX && strspn(given, sane) == length) {
        return g_strdup(given);
    }
    return g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
}
