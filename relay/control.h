/* control.h - the main thread: signals, the metrics listener and the admin socket, on one ring.
 *
 * It answers from the lanes' boards and never waits for Redis or a sink. */
#ifndef FLASHGATE_RELAY_CONTROL_H
#define FLASHGATE_RELAY_CONTROL_H

#include <stddef.h>

#include "auditor.h"
#include "delivery.h"
#include "flashgate/base/attributes.h"
#include "flashgate/base/error.h"
#include "relay_metrics.h"
#include "relay_options.h"

struct relay_control;

/* Opens the ring and listens. SIGTERM and SIGINT must be blocked already. The admin socket being another
 * relay's is no error: it is taken over when that one has gone. FG_UNREACHABLE: a port, the folder or
 * io_uring was refused. */
enum fg_result relay_control_open(const struct relay_options *options,
                                  struct relay_metrics *metrics, struct relay_control **control_r,
                                  struct fg_error *error) FG_MUST_CHECK;
/* Passed to the deliveries as `finished`, with the control as context. Any thread. */
void relay_control_wake(void *control);
/* Runs until a signal came and every delivery has finished. A second signal ends the process (130). */
void relay_control_run(struct relay_control *control, struct relay_delivery *const *deliveries,
                       size_t count, struct relay_auditor *auditor);
void relay_control_close(struct relay_control **control);

#endif
