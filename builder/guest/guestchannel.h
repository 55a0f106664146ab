/* The stream that leads to the shell of a guest, whatever carries it.
 *
 * A kind of channel is one file and one table. Channels move bytes and know when the other side is gone; they know
 * nothing of commands. Neither function blocks for longer than its milliseconds: who waits (session.c) asks machine and
 * user in between. */
#pragma once

#include "machine/machine.h"

typedef struct GuestChannel GuestChannel;

typedef struct {
    gboolean survives; /* the shell behind it goes on when a saved machine does */
    /* Sends some of data. *sent 0: the other side took nothing within the time. */
    gboolean (*send)(GuestChannel *channel, const void *data, gsize size, int milliseconds, gsize *sent,
                     GError **error);
    /* Reads what is there. *count 0: nothing came within the time. */
    gboolean (*receive)(GuestChannel *channel, void *buffer, gsize size, int milliseconds, gsize *count,
                        GError **error);
    void (*close)(GuestChannel *channel); /* frees it */
} GuestChannelKind;

struct GuestChannel {
    const GuestChannelKind *kind;
};

/* Takes over the descriptor of a connected socket. */
GuestChannel *guest_channel_new_socket(int fd);
/* Connects to the machine's virtio-serial port; the guest need not have opened it. */
GuestChannel *guest_channel_new_port(Machine *machine, GError **error);
void guest_channel_close(GuestChannel *channel); /* NULL: nothing happens */
