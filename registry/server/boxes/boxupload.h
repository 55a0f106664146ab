/* The door that boxes come in by: PUT /box-uploads/ID/NAME/version/V/provider/P/ARCHITECTURE?pass=…, which GET …/upload
 * of Vagrant Cloud's API tells. The pass in the URL (views/pass.h) is all that is asked for, as clients show no login
 * there.
 *
 * The box is taken in (boxqueue.h) as soon as all of it has come. The answer waits for that for a while, and says what
 * is wrong with it; what takes longer is told by the callback, the provider's page, and the release. */
#pragma once

#include "server/http/request.h"

extern const Route box_upload_routes[];

/* For as long as the box of an upload is taken in, an answer is waited for at most so long. */
#define BOX_WAIT (50 * G_TIME_SPAN_SECOND)
#define BOX_LOOK (G_TIME_SPAN_SECOND / 4) /* between two looks */
