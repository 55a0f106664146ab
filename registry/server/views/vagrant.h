/* Vagrant's catalogue of a repository: GET /vagrant/NAME, in the format that `vagrant box add URL` reads (Vagrant's
 * documentation, "Box Repository", "Box Metadata"). NAME@CHANNEL has those versions alone that the channel named, up to
 * the one that it names now: so `vagrant box update` follows a channel, back too. */
#pragma once

#include "server/request.h"

gboolean vagrant_has(const char *path);
enum MHD_Result vagrant_answer(Request *request);
