/* readings.c - the last reading and the one before. */
#include "readings.h"

#include <string.h>

#include "document.h"

void fg_readings_add(struct fg_readings *readings, json_t *rows, uint64_t now_ns)
{
    json_decref(readings->before);
    readings->before = readings->rows;
    readings->before_ns = readings->rows_ns;
    readings->rows = rows;
    readings->rows_ns = now_ns;
}

void fg_readings_free(struct fg_readings *readings)
{
    json_decref(readings->before);
    json_decref(readings->rows);
    *readings = (struct fg_readings){ 0 };
}

static const json_t *find(const json_t *rows, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(fg_document_text(row, "row"), name) == 0)
            return row;
    }
    return NULL;
}

double fg_readings_rate(const struct fg_readings *readings, const json_t *row, const char *counter)
{
    const json_t *before = find(readings->before, fg_document_text(row, "row"));
    uint64_t took_ns = readings->rows_ns - readings->before_ns;
    int64_t counted = fg_document_number(row, counter) - fg_document_number(before, counter);

    if (before == NULL || took_ns == 0 || counted < 0)
        return -1;
    return (double)counted * 1e9 / (double)took_ns;
}

void fg_readings_add_rate(const struct fg_readings *readings, const json_t *row,
                          const char *counter, struct fg_table *table)
{
    double rate = fg_readings_rate(readings, row, counter);

    if (rate < 0)
        fg_table_add(table, "-");
    else if (rate > 0 && rate < 9.95)
        fg_table_add_format(table, "%.1f", rate);
    else
        fg_table_add_format(table, "%.0f", rate);
}
