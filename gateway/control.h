/* control.h - the control thread (the program's first): signals and drain, the metrics and admin listeners. */
#ifndef FLASHGATE_GATEWAY_CONTROL_H
#define FLASHGATE_GATEWAY_CONTROL_H

#include "flashgate/ring/ring.h"

#include "gateway.h"

struct control;

/* Those that the control thread will read; before any thread starts. */
void control_block_signals(void);
/* Listens; the signals are blocked. */
enum fg_result control_open(struct gateway *gateway, struct control **control_r,
                            struct fg_error *error) FG_MUST_CHECK;
struct fg_ring *control_ring(struct control *control);
/* Until the drain is over. The exit code: 0, or 130 after a second signal (at once). */
int control_run(struct control *control);
void control_close(struct control **control);

#endif
