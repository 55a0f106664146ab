#include "server/http/metrics.h"

void metrics_head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_number(GString *text, double value)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append_printf(text, "%s\n", g_ascii_dtostr(buffer, sizeof buffer, value));
}

void metrics_add(GString *text, const char *name, const char *type, const char *help, double value)
{
    metrics_head(text, name, type, help);
    g_string_append_printf(text, "%s ", name);
    metrics_number(text, value);
}
