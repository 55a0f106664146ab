/* Made ahead: Vagrant takes most of a second until it asks for a box, and by its command line and what it has, it can
 * mostly be told which one that will be. So another process begins with it at once, and what Vagrant downloads is there
 * when it asks. A guess, and no more: a wrong one costs the chunks of a newer version that come anyhow when that is
 * wanted, and where there is none, everything goes on as it would have.
 *
 * Only `box add URL` and `box update --box NAME` without a version are guessed at: the newest version, for the provider
 * that is named, or installed, or the only one. The file stands beside the one that Vagrant will ask for, under a lock
 * that its maker holds; it goes when Vagrant has ended. */
#pragma once

#include <glib.h>

/* argv: Vagrant's command line. Never fails, and says on standard error only what comes over the network. This process
 * must be the one that becomes Vagrant. */
void ahead_start(int argc, char **argv);
/* Waits for what is in the making for this file of Vagrant's, and moves it there; FALSE where nothing was made. */
gboolean ahead_take(const char *output);
