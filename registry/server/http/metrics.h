/* Prometheus's text format 0.0.4, written into a string. */
#pragma once

#include <glib.h>

/* The HELP and TYPE lines of a metric. */
void metrics_head(GString *text, const char *name, const char *type, const char *help);
/* A number and the end of its line, as C has it, whatever the locale. */
void metrics_number(GString *text, double value);
/* A metric without labels: head and value. */
void metrics_add(GString *text, const char *name, const char *type, const char *help, double value);
