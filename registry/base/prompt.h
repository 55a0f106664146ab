/* Secrets typed by a person, or given as lines of standard input where that is no terminal. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* One line without its end (LF, or CR LF outside a terminal): from the terminal, after the prompt and without echo,
 * where standard input is one; else the next line of standard input. INVALID where there is none or it has more than 64
 * KiB. Free it with ingot_secret_free. */
char *ingot_prompt_secret(const char *prompt, GError **error);
/* The same with echo, for what is no secret. */
char *ingot_prompt_line(const char *prompt, GError **error);
/* Overwrites it first. */
void ingot_secret_free(char *secret);

typedef char IngotSecret;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotSecret, ingot_secret_free)

G_END_DECLS
