/* readings.h - counters read twice, and the rates between the readings. Pure: time is an argument.
 *
 * A reading is a JSON array of rows; a row is an object with the member "row", a text that tells it from the others
 * of its reading, and is the same for the same counters in the next. */
#ifndef FLASHGATE_CTL_READINGS_H
#define FLASHGATE_CTL_READINGS_H

#include <jansson.h>
#include <stdint.h>

#include "table.h"

struct fg_readings {
    json_t *rows, *before; /* NULL: not read yet */
    uint64_t rows_ns, before_ns;
};

/* Takes `rows` from the caller; the reading before the last one is forgotten. */
void fg_readings_add(struct fg_readings *readings, json_t *rows, uint64_t now_ns);
void fg_readings_free(struct fg_readings *readings);
/* Counted a second between the last two readings; less than 0: not known, for the row is new, or a counter went
 * down because its server was started again. */
double fg_readings_rate(const struct fg_readings *readings, const json_t *row, const char *counter);
/* The rate as a cell; "-" when it is not known. */
void fg_readings_add_rate(const struct fg_readings *readings, const json_t *row,
                          const char *counter, struct fg_table *table);

#endif
