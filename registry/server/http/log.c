#include "server/http/log.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "server/http/logwriter.h"

#define ID_MAX 64
#define NEW_ID_SIZE 17 /* bytes of an id that is made here, with its end */
#define TIME_SIZE 32   /* bytes of a time as text */
#define LINE_SIZE 384  /* bytes of a request's line, mostly */
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
static void add_escaped(GString *line, const char *text, gboolean field)
{
    gsize plain = plain_length(text);
    g_string_append_len(line, text, (gssize)plain);
    text += plain;
    while (*text != '\0') {
        gunichar c = g_utf8_get_char_validated(text, -1);
        if (c == (gunichar)-1 || c == (gunichar)-2) { /* no UTF-8: its bytes, one by one */
            g_string_append_printf(line, "\\x%02x", (guchar)*text++);
            continue;
        }
        if (c == '\\') {
            g_string_append(line, "\\\\");
        } else if (g_unichar_isprint(c) && !(field && g_unichar_isspace(c))) {
            g_string_append_unichar(line, c);
        } else {
            g_string_append_printf(line, c <= 0xff ? "\\x%02x" : "\\u%04x", c);
        }
        text = g_utf8_next_char(text);
    }
}

static guint64 tenths(double ms)
{
    return (guint64)(ms * 10 + 0.5);
}

static char *plain_request(const char *time, const LogRequest *request)
{
    const char *const fields[] = {request->user, request->method, request->path};
    GString *line = g_string_sized_new(LINE_SIZE);
    g_string_append(line, time);
    g_string_append_c(line, ' ');
    g_string_append(line, request->client);
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_string_append_c(line, ' ');
        add_escaped(line, fields[i], TRUE);
    }
    guint64 ms = tenths(request->ms);
    g_string_append_printf(
        line, " status=%u received=%" G_GUINT64_FORMAT " bytes=%" G_GUINT64_FORMAT " ms=%" G_GUINT64_FORMAT ".%u id=",
        request->status, request->received, request->sent, ms / 10, (guint)(ms % 10));
    g_string_append(line, request->id);
    return g_string_free(line, FALSE);
}

static char *plain_message(const char *level, const char *message)
{
    GString *line = g_string_new(strcmp(level, "warning") == 0 ? "ingotd: warning: " : "ingotd: ");
    add_escaped(line, message, FALSE);
    return g_string_free(line, FALSE);
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
    json_object_set_new(line, "ms", json_real((double)tenths(request->ms) / 10));
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

/* The time in words, which are the same for a second. */
static const char *time_text(void)
{
    static _Thread_local gint64 second;
    static _Thread_local char text[TIME_SIZE];
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    if (now != second) {
        g_autofree char *fresh = ingot_text_now();
        g_strlcpy(text, fresh, sizeof text);
        second = now;
    }
    return text;
}

void log_request(const LogRequest *request)
{
    g_autofree char *line = log_request_line(format_now, time_text(), request);
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
    static const char hex[] = "0123456789abcdef";
    guint64 value = (guint64)g_random_int() << 32 | g_random_int();
    char *id = g_malloc(NEW_ID_SIZE);
    for (guint i = 0; i < NEW_ID_SIZE - 1; i++, value <<= 4) {
        id[i] = hex[value >> 60];
    }
    id[NEW_ID_SIZE - 1] = '\0';
    return id;
}
