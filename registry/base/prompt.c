#include "base/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/process.h"

#define LINE_MAX_BYTES 65536 /* access tokens of clouds have thousands */

void ingot_secret_free(char *secret)
{
    if (secret) {
        explicit_bzero(secret, strlen(secret));
        g_free(secret);
    }
}

/* Byte by byte: what follows the line is for the next reader. */
static char *read_line(GError **error)
{
    char line[LINE_MAX_BYTES + 1];
    gsize length = 0;
    char *result = NULL;

    for (;;) {
        gssize got = read(STDIN_FILENO, line + length, 1);
        if (got < 0 && errno == EINTR && ingot_interrupt_check(error))
            continue;
        if (got < 0) {
            if (errno != EINTR)
                ingot_error_set_errno(error, errno, "standard input");
            break;
        }
        if (got == 0 && length == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "standard input ends where a line is expected");
            break;
        }
        if (got == 0 || line[length] == '\n' || line[length] == '\0') {
            result = g_strndup(line, length);
            break;
        }
        if (++length > LINE_MAX_BYTES) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a line may have %d bytes", LINE_MAX_BYTES);
            break;
        }
    }
    explicit_bzero(line, sizeof line);
    return result;
}

/* Of a line that ends as those of Windows do. */
static char *cut_return(char *line)
{
    if (line != NULL && g_str_has_suffix(line, "\r"))
        line[strlen(line) - 1] = '\0';
    return line;
}

static char *ask(const char *prompt, gboolean echo, GError **error)
{
    struct termios before, silent;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return cut_return(read_line(error));
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    if (!echo && tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0) {
        ingot_error_set_errno(error, errno, "turning the terminal's echo off");
        return NULL;
    }
    fprintf(stderr, "%s", prompt); /* after that: what is typed from here on counts */
    char *line = read_line(error);
    if (!echo) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    return line;
}

char *ingot_prompt_secret(const char *prompt, GError **error)
{
    return ask(prompt, FALSE, error);
}

char *ingot_prompt_line(const char *prompt, GError **error)
{
    return ask(prompt, TRUE, error);
}
