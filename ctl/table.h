/* table.h - a table of texts with aligned columns, for people.
 *
 * Cells are copied as they are added, row by row from the left; control characters become '?', for what a
 * server says must not steer a terminal. Memory that cannot be had ends the program (abort). */
#ifndef FLASHGATE_CTL_TABLE_H
#define FLASHGATE_CTL_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "flashgate/base/attributes.h"

struct fg_table;

struct fg_column {
    const char *title;
    bool is_number; /* aligned to the right */
};

/* `columns` ends with a row without title and must outlive the table. */
struct fg_table *fg_table_new(const struct fg_column *columns);
void fg_table_add(struct fg_table *table, const char *text);
void fg_table_add_number(struct fg_table *table, int64_t number);
void fg_table_add_format(struct fg_table *table, const char *format, ...) FG_PRINTF(2, 3);
/* Every row must be whole: asserted. */
void fg_table_print(const struct fg_table *table, FILE *out, bool bold);
void fg_table_free(struct fg_table **table);

/* Writes `text` with its control characters (but newline) replaced. */
void fg_print_safely(const char *text, FILE *out);

#endif
