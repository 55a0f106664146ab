/* How a guest comes to be: for the files of this room that make one. */
#pragma once

#include "guest/session.h"

/* A guest on a channel, which it frees; machine NULL: not one of ours. */
Guest *guest_new(GuestChannel *channel, Machine *machine);
/* Tells the shell what it needs to know before the first command, without waiting for it. */
gboolean guest_prepare(Guest *guest, GError **error);
/* The same, and waits some seconds for the shell's answer. */
gboolean guest_answers(Guest *guest, GError **error);
