#include "bundle/gunzip.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE (1u << 18)
#define WRITE_SIZE (1u << 18)
#define MAGIC "\x1f\x8b"
#define MAGIC_SIZE 2u

struct Gunzip {
    int fd;
    guint64 taken;
    gboolean ended; /* the file */
    struct inflate_state state;
    guint8 in[READ_SIZE], out[WRITE_SIZE];
};

gboolean gunzip_probe(int fd)
{
    guint8 magic[MAGIC_SIZE];
    return pread(fd, magic, MAGIC_SIZE, 0) == MAGIC_SIZE && memcmp(magic, MAGIC, MAGIC_SIZE) == 0;
}

static void begin_member(Gunzip *gunzip)
{
    isal_inflate_reset(&gunzip->state);
    gunzip->state.crc_flag = ISAL_GZIP;
}

Gunzip *gunzip_new(int fd)
{
    Gunzip *gunzip = g_new0(Gunzip, 1);
    gunzip->fd = fd;
    isal_inflate_init(&gunzip->state);
    gunzip->state.next_in = gunzip->in;
    begin_member(gunzip);
    return gunzip;
}

void gunzip_free(Gunzip *gunzip)
{
    g_free(gunzip);
}

/* What is left moves to the front, and more follows it. */
static gboolean fill(Gunzip *gunzip, const char **why)
{
    struct inflate_state *state = &gunzip->state;
    memmove(gunzip->in, state->next_in, state->avail_in);
    ssize_t got = pread(gunzip->fd, gunzip->in + state->avail_in, READ_SIZE - state->avail_in, (off_t)gunzip->taken);
    if (got < 0) {
        *why = g_strerror(errno);
        return FALSE;
    }
    state->next_in = gunzip->in;
    state->avail_in += (guint32)got;
    gunzip->taken += (guint64)got;
    gunzip->ended = got == 0;
    return TRUE;
}

static const char *words_of(int status)
{
    return status == ISAL_INCORRECT_CHECKSUM ? "its bytes are not those of its gzip checksum" : "no gzip data";
}

/* Unpacks into what is free of `out`, or as much as there is to unpack. */
static gboolean inflate(Gunzip *gunzip, const char **why)
{
    struct inflate_state *state = &gunzip->state;
    guint32 in = state->avail_in, out = state->avail_out;
    int status = isal_inflate(state);
    if (status < 0 || status == ISAL_NEED_DICT) {
        *why = words_of(status);
        return FALSE;
    }
    if (state->block_state != ISAL_BLOCK_FINISH && state->avail_in == in && state->avail_out == out) {
        *why = "truncated gzip input";
        return FALSE;
    }
    return TRUE;
}

/* Whether another member follows the one that has ended. */
static gboolean follows(const Gunzip *gunzip)
{
    return gunzip->state.avail_in >= MAGIC_SIZE && memcmp(gunzip->state.next_in, MAGIC, MAGIC_SIZE) == 0;
}

gssize gunzip_read(Gunzip *gunzip, const guint8 **bytes, const char **why)
{
    struct inflate_state *state = &gunzip->state;
    *bytes = gunzip->out;
    state->next_out = gunzip->out;
    state->avail_out = WRITE_SIZE;
    while (state->avail_out > 0) {
        if (state->avail_in < MAGIC_SIZE && !gunzip->ended && !fill(gunzip, why)) {
            return -1;
        }
        if (state->block_state == ISAL_BLOCK_FINISH) {
            if (!follows(gunzip)) {
                break;
            }
            begin_member(gunzip);
        }
        if (!inflate(gunzip, why)) {
            return -1;
        }
    }
    return (gssize)(WRITE_SIZE - state->avail_out);
}

guint64 gunzip_taken(const Gunzip *gunzip)
{
    return gunzip->taken;
}
