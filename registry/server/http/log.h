/* The log on standard error: a line for each request and for each message of the server, as text or as JSON.
 *
 * Invariant: what a client sends cannot end a line, begin a field or reach a terminal as a control character. A line is
 * written at once: lines of several threads do not mix. Thread safe, but for log_open, log_start and log_stop. */
#pragma once

#include <glib.h>

typedef enum { LOG_AS_PLAIN, LOG_AS_JSON } LogFormat;

/* Before there are threads; without it the log is plain. From then on what GLib warns of comes here too. */
void log_open(LogFormat format);
/* From here until log_stop nobody waits for whoever reads the log (logwriter.h). Each is called once, while no other
 * thread logs. */
void log_start(void);
void log_stop(void);

void log_info(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_warning(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_error(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* A request that has ended. */
typedef struct {
    const char *client, *method, *path, *id;
    const char *user; /* "-": nobody's */
    guint status;
    guint64 received, sent; /* bytes of the bodies */
    double ms;
} LogRequest;
void log_request(const LogRequest *request);

/* The lines, without their end; free them. level: "info", "warning", "error". */
char *log_request_line(LogFormat format, const char *time, const LogRequest *request);
char *log_message_line(LogFormat format, const char *time, const char *level, const char *message);

/* The id of a request: what the client gave where that is sane ([A-Za-z0-9._-]{1,64}), else a new one. Free it. */
char *log_id(const char *given);
