/* document.h - reading a server's JSON without trusting it: what is missing or of another type reads as
 * "?" or 0, never as a crash. The texts belong to the document. */
#ifndef FLASHGATE_CTL_DOCUMENT_H
#define FLASHGATE_CTL_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

const char *fg_document_text(const json_t *object, const char *key); /* "?" */
/* As above, `otherwise` for null and for what is missing. */
const char *fg_document_text_or(const json_t *object, const char *key, const char *otherwise);
int64_t fg_document_number(const json_t *object, const char *key); /* 0 */
bool fg_document_is_true(const json_t *object, const char *key);
/* The sum of a number over all elements of an array. */
int64_t fg_document_sum(const json_t *array, const char *key);
/* Each text of an array (of objects: the member "words") on a line, indented and safe for a terminal. */
void fg_document_print_lines(const json_t *texts, FILE *out);
/* The whole of it, indented, with a newline. */
void fg_document_print(const json_t *document, FILE *out);

#endif
