/* report_html.h - a report as a page that stands alone: no script, nothing from elsewhere, charts as SVG. Pure. */
#ifndef FLASHGATE_CTL_REPORT_HTML_H
#define FLASHGATE_CTL_REPORT_HTML_H

#include <jansson.h>
#include <stdio.h>

/* `report`: the relay's document, with the member "gateways" [{"address","uptime_s","answers":{CODE: N},"problem"}]
 * and "notes", an array of texts. Whatever is in it is escaped. */
void fg_report_html(const json_t *report, FILE *out);

/* Text for HTML, also inside an attribute's quotes. */
void fg_html_print(const char *text, FILE *out);
/* A cell for CSV: quoted where need be, and never taken for a formula by a spreadsheet. */
void fg_csv_print(const char *text, FILE *out);

#endif
